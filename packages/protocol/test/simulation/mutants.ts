/** A bug that one could make: the rule that it breaks, by its section in docs/protocol.md, and the change to the source that makes it. */
export interface Mutant {
  readonly rule: string;
  readonly bug: string;
  readonly file: string;
  /** Each `find` must stand exactly once in the file. */
  readonly edits: readonly { readonly find: string; readonly replace: string }[];
}

export const MUTANTS: readonly Mutant[] = [
  {
    rule: "3 classes of frames",
    bug: "WINDOW is numbered by the sender but not counted by the receiver",
    file: "src/frame.ts",
    edits: [
      {
        find: "return ((message[0] as number) & UNSEQUENCED_BIT) === 0;",
        replace: "return ((message[0] as number) & UNSEQUENCED_BIT) === 0 && message[0] !== FRAME.window;",
      },
    ],
  },
  {
    rule: "5 numbered frames are kept",
    bug: "a frame of the session's queue is sent without being kept for replay",
    file: "src/outbox.ts",
    edits: [
      {
        find: "    this.#number(item.frame, now);",
        replace: "    this.#inFlight(item.frame, now);",
      },
    ],
  },
  {
    rule: "5 a number only at the hand-over",
    bug: "frames are taken out while no transport is attached",
    file: "src/session.ts",
    edits: [
      {
        find: '    if (this.#state.name !== "attached") return undefined;\n    return this.#outbox.next',
        replace: '    if (this.#state.name === "ended") return undefined;\n    return this.#outbox.next',
      },
    ],
  },
  {
    rule: "6 order of sending",
    bug: "END leaves through the session's queue and overtakes data",
    file: "src/stream-core.ts",
    edits: [
      {
        find: '    this.#move("ending");\n    if (this.isSendable) this.#host.activate(this);',
        replace:
          '    this.#move("ending");\n    if (this.#opening === "answered") this.#host.control(this.takeFrame(0), () => this.afterFrame());\n    else if (this.isSendable) this.#host.activate(this);',
      },
    ],
  },
  {
    rule: "6 order of sending",
    bug: "new frames overtake the ones to be sent again",
    file: "src/outbox.ts",
    edits: [
      {
        find: "    if (this.#cursor < this.#replay.last) return this.#again(now);\n    return (",
        replace:
          "    if (this.#cursor < this.#replay.last && now % 2 < 1) return this.#again(now);\n    return (",
      },
    ],
  },
  {
    rule: "6 RESET empties the queue",
    bug: "data of a stream that was reset still leaves",
    file: "src/stream-core.ts",
    edits: [
      {
        find: "    this.#queue.clear();\n    this.#held = undefined;",
        replace: "    this.#held = undefined;",
      },
      {
        find: 'const open = this.#sending === "open" || this.#sending === "ending";',
        replace: 'const open = this.#sending !== "ended";',
      },
    ],
  },
  {
    rule: "6 OPEN before its stream's frames",
    bug: "data may leave before the OPEN",
    file: "src/stream-core.ts",
    edits: [
      {
        find: 'if (this.#opening === "waiting" || (!this.isOpener',
        replace: "if ((!this.isOpener",
      },
    ],
  },
  {
    rule: "7 cancelled without trace",
    bug: "the OPEN of a visitor that left still leaves",
    file: "src/stream-table.ts",
    edits: [
      {
        find: "    if (this.#streams.delete(stream.id)) stream.window.close();\n    this.#waiting.delete(stream);",
        replace: "    if (this.#streams.delete(stream.id)) stream.window.close();",
      },
    ],
  },
  {
    rule: "5 bounded replay buffer",
    bug: "DATA does not wait for room in the replay buffer",
    file: "src/outbox.ts",
    edits: [
      {
        find: "if (this.#replay.cost + replayCost(length + END_BYTES) > this.#options.replayLimitBytes) return undefined;",
        replace: "",
      },
    ],
  },
  {
    rule: "5 acks are always sendable alone",
    bug: "an ack leaves only when something else could",
    file: "src/outbox.ts",
    edits: [
      {
        find: "    if (this.ackClock.isDue(now)) {",
        replace:
          "    if (this.ackClock.isDue(now) && this.flight.hasRoom && this.#replay.cost < this.#options.replayLimitBytes / 2) {",
      },
    ],
  },
  {
    rule: "5 acks say applied, not consumed",
    bug: "DATA is acknowledged only once its reader took it",
    file: "src/session.ts",
    edits: [
      {
        find: "      this.#outbox.ackClock.processed(cost, now);",
        replace: "      if (this.#budget.used === 0) this.#outbox.ackClock.processed(cost, now);",
      },
    ],
  },
  {
    rule: "5 what an ack says",
    bug: "an ack is one too high",
    file: "src/outbox.ts",
    edits: [
      {
        find: "return encodeAck(received);",
        replace: "return encodeAck(received + 1);",
      },
    ],
  },
  {
    rule: "5 what an ack says",
    bug: "an ack frees one frame too many",
    file: "src/outbox.ts",
    edits: [
      {
        find: "this.flight.acked(this.#replay.ackThrough(sequence), now);",
        replace:
          "this.flight.acked(this.#replay.ackThrough(Math.min(sequence + 1, this.#replay.last)), now);",
      },
    ],
  },
  {
    rule: "7 END needs no credit",
    bug: "END waits for a window",
    file: "src/stream-core.ts",
    edits: [
      {
        find: 'if (this.#sending === "ending" && this.#queue.bytes === 0) return true;',
        replace:
          'if (this.#sending === "ending" && this.#queue.bytes === 0) return this.#sendWindow.room > 0;',
      },
    ],
  },
  {
    rule: "8 credit only grows",
    bug: "a window is computed anew from what was consumed",
    file: "src/receive-window.ts",
    edits: [
      {
        find: "    if (limit - this.#granted < Math.ceil(this.#options.initialWindowBytes / 2)) return undefined;\n",
        replace: "",
      },
      {
        find: "const affordable = base + Math.floor((this.#reserved + Math.max(0, this.#budget.free)) / SHARE);",
        replace: "const affordable = base + Math.max(0, this.#budget.free) / SHARE;",
      },
    ],
  },
  {
    rule: "8 window granted twice",
    bug: "the limit counts what is not consumed as free",
    file: "src/receive-window.ts",
    edits: [
      {
        find: "const limit = Math.min(this.#consumed + most, affordable);",
        replace: "const limit = Math.min(this.#received + most, affordable + this.unconsumed);",
      },
    ],
  },
  {
    rule: "10 nothing is taken of the pool that is not there",
    bug: "data does not look whether there is any",
    file: "src/outbox.ts",
    edits: [
      {
        find: "if (replayCost(this.#maxPayload + END_BYTES) > this.#share.freeForData) return undefined;",
        replace: "",
      },
    ],
  },
  {
    rule: "10 nothing is taken of the pool that is not there",
    bug: "a window is promised out of memory that others have",
    file: "src/receive-window.ts",
    edits: [
      {
        find: "return Math.min(this.#limit - this.#used, this.#share.freeForPromises - WINDOW_FRAME_COST);",
        replace: "return this.#limit - this.#used;",
      },
    ],
  },
  {
    rule: "10 what was taken goes back",
    bug: "frames that were acknowledged stay taken",
    file: "src/replay-buffer.ts",
    edits: [{ find: "    this.#share.take(-freed);\n", replace: "" }],
  },
  {
    rule: "7 when a stream is forgotten",
    bug: "it is forgotten when this side is done, whatever the peer still sends",
    file: "src/stream-core.ts",
    edits: [
      {
        find: '    if (!sent || this.#receiving === "open") return;',
        replace: "    if (!sent) return;",
      },
    ],
  },
  {
    rule: "7 RESET is answered",
    bug: "a RESET is not answered",
    file: "src/stream-core.ts",
    edits: [
      {
        find: '    if (this.#sending === "open" || this.#sending === "ending") this.#sendReset(encodeReset(this.id, code));\n',
        replace: "",
      },
    ],
  },
  {
    rule: "7 END sent counts although a RESET waits",
    bug: "a stream whose END was sent is counted until its RESET is, too",
    file: "src/stream-core.ts",
    edits: [
      {
        find: ' || this.#sending === "retracting" ||',
        replace: " ||",
      },
    ],
  },
  {
    rule: "12 input of an old transport is dropped",
    bug: "messages of any transport are taken",
    file: "src/session.ts",
    edits: [
      {
        find: '    if (this.#state.name !== "attached" || this.#state.transport !== transport) return;\n    this.#lastNow = now;',
        replace: '    if (this.#state.name !== "attached") return;\n    this.#lastNow = now;',
      },
    ],
  },
  {
    rule: "12 fence before counting",
    bug: "the client goes on listening to the old transport after it told how far it is",
    file: "test/simulation/world.ts",
    edits: [
      {
        find: "    this.#client.detach();\n    const received = this.#client.session.received;",
        replace:
          "    const received = Math.max(0, this.#client.session.received - 1);\n    this.#client.detach();",
      },
    ],
  },
  {
    rule: "8 each stream owns its initial window",
    bug: "the initial window comes out of the shared budget",
    file: "src/receive-window.ts",
    edits: [
      {
        find: "    const base = this.#consumed + this.#options.initialWindowBytes;",
        replace: "    const base = this.#consumed;",
      },
    ],
  },
  {
    rule: "12 a lost transport is a detach",
    bug: "a transport that fell silent ends the session",
    file: "src/session.ts",
    edits: [
      {
        find: '      this.detach(now);\n      this.#events.push({ type: "transportFailed", code: failed });',
        replace: '      this.#end(new CulvertError(failed), "local", undefined);',
      },
    ],
  },
  {
    rule: "12 the grace ends a session",
    bug: "a detached session is kept for ever",
    file: "src/session.ts",
    edits: [
      {
        find: "      if (now >= this.#state.since + this.#config.options.graceMs) {",
        replace: "      if (now < 0) {",
      },
    ],
  },
  {
    rule: "12 resume",
    bug: "a resume sends one frame too few again",
    file: "src/outbox.ts",
    edits: [
      {
        find: "    this.#cursor = peerReceived;\n",
        replace: "    this.#cursor = Math.min(peerReceived + 1, this.#replay.last);\n",
      },
    ],
  },
  {
    rule: "12 resume",
    bug: "a resume sends one frame twice",
    file: "src/outbox.ts",
    edits: [
      {
        find: "    this.#replay.ackThrough(peerReceived);\n    this.#cursor = peerReceived;\n",
        replace:
          "    this.#replay.ackThrough(peerReceived - 1);\n    this.#cursor = Math.max(this.#replay.acked, peerReceived - 1);\n",
      },
    ],
  },
  {
    rule: "8 windows",
    bug: "a window that is given back is sent into all the same",
    file: "src/send-window.ts",
    edits: [
      {
        find: "    this.#limit = this.#sent + this.#initialBytes;\n",
        replace: "    this.#limit = Math.min(limit, this.#sent + this.#initialBytes + 1);\n",
      },
    ],
  },
  {
    rule: "8 windows",
    bug: "a window that is given back counts also when a larger one is on its way",
    file: "src/receive-window.ts",
    edits: [
      {
        find: "    if (limit < this.#granted) return false;\n",
        replace: "",
      },
    ],
  },
];
