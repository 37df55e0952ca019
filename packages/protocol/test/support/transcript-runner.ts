import type { ErrorCode } from "../../src/errors.ts";
import { isSequenced } from "../../src/frame.ts";
import type { SessionLimits } from "../../src/limits.ts";
import { Session } from "../../src/session.ts";
import type { SessionEvent } from "../../src/session-event.ts";
import { resolveSessionOptions } from "../../src/session-options.ts";
import type { IncomingStream, OpenRequest, Stream, StreamHandler } from "../../src/stream.ts";
import { bytes, hex } from "./hex.ts";
import type { Side, Transcript, TranscriptStep } from "./vector-file.ts";

const ACK = 0x45;

type Act = Extract<TranscriptStep, { step: "act" }>;

/** Plays one side of a transcript with a real Session; the other side is what the transcript says. */
export class TranscriptRunner {
  readonly #subject: Side;
  readonly #session: Session;
  readonly #streams = new Map<number, Stream>();
  readonly #incoming = new Map<number, IncomingStream>();
  /** Sequenced messages that left and that no step has named yet. */
  readonly #sent: string[] = [];
  readonly #acks: string[] = [];
  /** What was heard and no step has named yet. */
  readonly #heard: object[] = [];
  #ended: { readonly code: string; readonly close: string | null } | undefined;
  #now = 0;

  constructor(subject: Side, limits: SessionLimits) {
    this.#subject = subject;
    const { maxStreams, maxPendingOpens, maxTunnels, initialWindowBytes, replayLimitBytes } = limits;
    const options = resolveSessionOptions({
      maxStreams,
      maxPendingOpens,
      maxTunnels,
      initialWindowBytes,
      replayLimitBytes,
    });
    this.#session = new Session({ role: subject, options, peerLimits: limits, random: () => 0.5 }, 0);
  }

  /** @throws Error at the first step that does not go as the transcript says. */
  run(transcript: Transcript): void {
    for (const [i, step] of transcript.steps.entries()) {
      try {
        this.#play(step);
      } catch (error) {
        throw new Error(`step ${i} ${JSON.stringify(step)}: ${(error as Error).message}`, { cause: error });
      }
    }
    this.#nothingLeft();
  }

  #play(step: TranscriptStep): void {
    switch (step.step) {
      case "attach":
        if (step.only === undefined || step.only === this.#subject) this.#attach(step);
        break;
      case "detach":
        if (step.side !== this.#subject) return;
        this.#nothingLeft();
        this.#session.detach(this.#now);
        break;
      case "act":
        if (step.side === this.#subject) this.#act(step);
        break;
      case "send":
        if (step.from === this.#subject) same(this.#sent.shift(), step.message);
        else if (step.arrives) this.#session.receive(step.transport, bytes(step.message), this.#now);
        break;
      case "ack":
        if (step.from === this.#subject) this.#expectAck(step.message);
        else if (step.arrives) this.#session.receive(step.transport, bytes(step.message), this.#now);
        break;
      case "late":
        if (step.to === this.#subject) this.#session.receive(step.transport, bytes(step.message), this.#now);
        break;
      case "hear": {
        const { step: _, side, ...event } = step;
        if (side === this.#subject) same(this.#heard.shift(), event);
        break;
      }
      case "ended":
        if (step.side === this.#subject) same(this.#ended, { code: step.code, close: step.close });
    }
    this.#collect();
  }

  #attach(step: Extract<TranscriptStep, { step: "attach" }>): void {
    const [ours, theirs] =
      this.#subject === "client"
        ? [step.clientReceived, step.serverReceived]
        : [step.serverReceived, step.clientReceived];
    same(this.#session.received, ours);
    this.#session.attach(step.transport, theirs, this.#now);
  }

  #act(step: Act): void {
    const stream = this.#streams.get(step.stream ?? 0);
    const incoming = this.#incoming.get(step.stream ?? 0);
    const tunnel = step.tunnel ?? 0;
    const code = step.code as ErrorCode;
    const actions: Readonly<Record<string, () => void>> = {
      open: () => this.#open(step),
      accept: () => {
        const id = step.stream ?? 0;
        if (incoming !== undefined) this.#streams.set(id, incoming.accept(this.#handler(id)));
      },
      refuse: () => incoming?.refuse(code),
      write: () => stream?.write(bytes(step.bytes ?? "")),
      end: () => stream?.end(),
      reset: () => stream?.reset(code),
      requestTunnel: () => this.#session.requestTunnel(step.listen ?? "", step.name ?? ""),
      tunnelReady: () => this.#session.tunnelReady(tunnel, step.listen ?? ""),
      closeTunnel: () => this.#session.closeTunnel(tunnel),
      tunnelClosed: () => this.#session.tunnelClosed(tunnel, code),
    };
    const action = actions[step.action];
    if (action === undefined) throw new Error(`no action ${step.action}`);
    action();
  }

  #open({ stream: id = 0, tunnel, target, visitor }: Act): void {
    const request: OpenRequest = {
      kind: "tcp",
      ...(tunnel === undefined ? {} : { tunnelId: tunnel }),
      ...(target === undefined ? {} : { target }),
      ...(visitor === undefined ? {} : { visitor }),
    };
    const stream = this.#session.open(request, this.#handler(id), this.#now);
    same(stream.id, id);
    this.#streams.set(id, stream);
  }

  /** An ack may leave at any time; within 25 ms it must have. */
  #expectAck(message: string): void {
    this.#now += 25;
    this.#session.handleDeadline(this.#now);
    this.#collect();
    same(this.#acks.at(-1), message);
  }

  #handler(stream: number): StreamHandler {
    const hear = (event: object) => this.#heard.push(event);
    return {
      onAccept: () => hear({ event: "accept", stream }),
      onData: (chunk) => hear({ event: "data", stream, bytes: hex(chunk) }),
      onEnd: () => hear({ event: "end", stream }),
      onReset: (code) => hear({ event: "reset", stream, code }),
    };
  }

  #collect(): void {
    for (;;) {
      const message = this.#session.nextFrame(this.#now);
      if (message === undefined) break;
      if (isSequenced(message)) this.#sent.push(hex(message));
      else if (message[0] === ACK) this.#acks.push(hex(message));
    }
    for (const event of this.#session.takeEvents()) this.#hearEvent(event);
  }

  #hearEvent(event: SessionEvent): void {
    if (event.type === "stream") {
      const { id, request } = event.incoming;
      const { kind: _, tunnelId, ...rest } = request;
      this.#incoming.set(id, event.incoming);
      this.#heard.push({
        event: "open",
        stream: id,
        ...rest,
        ...(tunnelId === undefined ? {} : { tunnel: tunnelId }),
      });
    } else if (event.type === "ended") {
      const close = event.farewell === undefined ? null : hex(event.farewell);
      this.#ended = { code: event.error.code, close };
    } else if ("tunnelId" in event) {
      const { type, tunnelId, ...rest } = event;
      this.#heard.push({ event: type, tunnel: tunnelId, ...rest });
    } else {
      this.#heard.push({ event: event.type });
    }
  }

  /** Nothing may have left, been heard or happened beyond what the steps named. */
  #nothingLeft(): void {
    same(this.#sent, []);
    same(this.#heard, []);
  }
}

function same(actual: unknown, expected: unknown): void {
  const [a, e] = [actual, expected].map((value) => JSON.stringify(sorted(value)));
  if (a !== e) throw new Error(`expected ${e}, got ${a}`);
}

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
