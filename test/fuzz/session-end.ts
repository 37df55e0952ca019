import type { Random } from "../../packages/chaos/src/random.ts";
import { CulvertError, ERRORS, type ErrorCode } from "../../packages/protocol/src/errors.ts";
import type { SessionLimits } from "../../packages/protocol/src/limits.ts";
import { Session } from "../../packages/protocol/src/session.ts";
import type { SessionEvent } from "../../packages/protocol/src/session-event.ts";
import { resolveSessionOptions } from "../../packages/protocol/src/session-options.ts";
import type { IncomingStream, Stream, StreamHandler } from "../../packages/protocol/src/stream.ts";

/** So small that every bound is met again and again. */
const OPTIONS = resolveSessionOptions({
  maxStreams: 4,
  maxPendingOpens: 3,
  maxTunnels: 3,
  initialWindowBytes: 64,
  firstWindowBytes: 128,
  maxWindowBytes: 1024,
  receiveBudgetBytes: 2048,
  replayLimitBytes: 4096,
  replayReserveBytes: 2048,
  writeHighWaterBytes: 256,
  maxPayloadBytes: 64,
  graceMs: 1000,
  visitorWaitMs: 500,
  maxWaitingOpens: 4,
  openTimeoutMs: 800,
  pingIntervalMs: 100,
  silenceMs: 250,
  stallMs: 300,
});
/** Of an end that keeps to nothing: each limit is met, and broken, sooner or later. */
export const GREEDY: SessionLimits = {
  maxStreams: 100,
  maxPendingOpens: 100,
  maxTunnels: 100,
  initialWindowBytes: 2 ** 20,
  replayLimitBytes: 2 ** 20,
};
/** More than any state can have to say at once. */
const MOST_FRAMES = 10_000;
const MOST_DEADLINES = 1000;
const LAST_VIOLATION = 95;
const FIRST_VIOLATION = 64;

/** A stream, and what its owner has heard of it and not taken. */
interface Held {
  readonly stream: Stream;
  readonly isPeers: boolean;
  bytes: number;
}

/** One end of a session with an owner who does whatever it may at random, also from within callbacks. */
export class SessionEnd {
  readonly session: Session;
  /** Why it is over. */
  endedBy: { readonly code: ErrorCode; readonly by: "local" | "peer" } | undefined;
  transport = 0;
  readonly #random: Random;
  readonly #isGreedy: boolean;
  readonly #streams = new Set<Held>();
  readonly #incoming = new Set<IncomingStream>();
  /** Tunnels of the peer, and of ours. */
  readonly #tunnels = new Set<number>();
  readonly #asked = new Set<number>();
  #now = 0;

  /** @param peerLimits What it believes that it may: for a greedy one more than the other end has said. */
  constructor(role: "client" | "server", random: Random, peerLimits: SessionLimits = OPTIONS) {
    this.#random = random;
    this.#isGreedy = peerLimits === GREEDY;
    const draw = (): number => random.fraction();
    this.session = new Session({ role, options: OPTIONS, peerLimits, random: draw }, 0);
  }

  attach(transport: number, peerReceived: number, now: number): void {
    this.#now = now;
    this.transport = transport;
    this.session.attach(transport, peerReceived, now);
    this.#hear();
  }

  receive(message: Uint8Array, now: number): void {
    this.#now = now;
    this.session.receive(this.transport, message, now);
    this.#hear();
  }

  /** Everything that leaves now. @throws Error when that never ends. */
  take(now: number): Uint8Array[] {
    this.#now = now;
    const messages: Uint8Array[] = [];
    for (let next = this.session.nextFrame(now); next !== undefined; next = this.session.nextFrame(now)) {
      messages.push(next);
      if (messages.length > MOST_FRAMES) throw new Error("it never stops sending");
      // A copy: what is acknowledged may be used again.
      messages[messages.length - 1] = next.slice();
    }
    this.#hear();
    return messages;
  }

  /** Lets the time come. @throws Error when a deadline is never done with. */
  advance(now: number): void {
    for (let calls = 0; this.session.nextDeadline <= now; calls += 1) {
      this.#now = Math.max(this.#now, this.session.nextDeadline);
      this.session.handleDeadline(this.#now);
      this.#hear();
      if (calls > MOST_DEADLINES) throw new Error(`the deadline ${this.session.nextDeadline} stays`);
      // Pings that are due leave, or the same deadline would be told again.
      if (this.session.state === "attached") this.take(this.#now);
    }
    if (Number.isNaN(this.session.nextDeadline)) throw new Error("the deadline is no number");
    this.#now = now;
  }

  /** Its owner does something. */
  act(): void {
    const { session } = this;
    const random = this.#random;
    if (this.#isGreedy && random.between(0, 1) === 0) {
      this.#grab();
      return;
    }
    switch (random.between(0, 11)) {
      case 0:
        this.#open();
        return;
      case 1:
        this.#allowed(() => void this.#asked.add(session.requestTunnel("tcp://a:0", "web")));
        return;
      case 2:
        for (const id of this.#asked) if (random.between(0, 1) === 0) session.closeTunnel(id);
        return;
      case 3:
        for (const id of this.#tunnels) session.tunnelReady(id, "tcp://a:80");
        return;
      case 4:
        for (const id of this.#tunnels) session.tunnelClosed(id, "closed");
        this.#tunnels.clear();
        return;
      case 5:
        session.note("a note");
        return;
      case 6:
      case 7:
        this.#answer();
        return;
      case 8:
        if (random.between(0, 30) === 0) session.drain("shutting_down");
        return;
      default:
        for (const held of this.#streams) this.#use(held);
    }
  }

  /** @throws Error when it holds more than its options allow, or ended as it must not. */
  check(): void {
    const { replayBytes, windowBytes } = this.session.counters;
    most("the replay buffer", replayBytes, OPTIONS.replayLimitBytes + OPTIONS.replayReserveBytes);
    most("the windows", windowBytes, OPTIONS.receiveBudgetBytes);
    // Both ends may have as many, and the own ones that wait for their turn.
    most("the streams", this.session.streams, 3 * OPTIONS.maxStreams);
    const pending = this.#incoming.size;
    most("the opens without an answer", pending, OPTIONS.maxPendingOpens);
    const accepted = [...this.#streams].filter(({ isPeers }) => isPeers).length;
    most("the streams of the peer", accepted + pending, OPTIONS.maxStreams);
    let held = 0;
    for (const { bytes } of this.#streams) held += bytes;
    most(
      "what was delivered",
      held,
      this.#streams.size * OPTIONS.initialWindowBytes + OPTIONS.receiveBudgetBytes,
    );
    if (this.endedBy !== undefined) this.#checkEnd(this.endedBy);
  }

  #checkEnd({ code, by }: NonNullable<SessionEnd["endedBy"]>): void {
    const { wire } = ERRORS[code];
    const isViolation = wire >= FIRST_VIOLATION && wire <= LAST_VIOLATION;
    if (by === "local" && !isViolation && code !== "session_expired" && code !== "replay_gap") {
      throw new Error(`it ended with ${code}`);
    }
    const { state, streams, nextDeadline, counters } = this.session;
    if (
      state !== "ended" ||
      streams > 0 ||
      counters.replayBytes > 0 ||
      nextDeadline !== Number.POSITIVE_INFINITY
    ) {
      throw new Error("something is left behind the end");
    }
  }

  #open(): void {
    const { session } = this;
    this.#allowed(() =>
      this.#hold(false, (handler) => session.open({ kind: "tcp", target: "tcp://a:1" }, handler, this.#now)),
    );
  }

  /** More streams, more tunnels and more data than the other end has room for. */
  #grab(): void {
    for (let n = this.#random.between(1, 3); n > 0; n -= 1) this.#open();
    this.#allowed(() => void this.#asked.add(this.session.requestTunnel("tcp://a:0", "")));
    for (const { stream } of this.#streams) stream.write(new Uint8Array(2048));
  }

  #use(held: Held): void {
    const random = this.#random;
    switch (random.between(0, 9)) {
      case 0:
        held.stream.end();
        return;
      case 1:
        held.stream.reset("cancelled");
        this.#streams.delete(held);
        return;
      case 2:
      case 3:
      case 4:
        held.stream.write(new Uint8Array(random.between(0, 200)));
        return;
      default: {
        const bytes = random.between(0, held.bytes);
        held.bytes -= bytes;
        held.stream.consumed(bytes);
      }
    }
  }

  #answer(): void {
    for (const incoming of this.#incoming) {
      this.#incoming.delete(incoming);
      if (this.#random.between(0, 3) === 0) incoming.refuse("forbidden");
      else this.#hold(true, (handler) => incoming.accept(handler));
    }
  }

  #hold(isPeers: boolean, make: (handler: StreamHandler) => Stream): void {
    let held: Held | undefined;
    let early = 0;
    const over = (): void => {
      if (held !== undefined) this.#streams.delete(held);
    };
    const meddle = (): void => {
      if (held !== undefined && this.#random.between(0, 7) === 0) this.#use(held);
    };
    const stream = make({
      onAccept: meddle,
      onData: (chunk) => {
        if (held === undefined) early += chunk.length;
        else held.bytes += chunk.length;
        meddle();
      },
      onEnd: meddle,
      onReset: over,
      onWritable: meddle,
      onFinished: over,
    });
    held = { stream, isPeers, bytes: early };
    this.#streams.add(held);
  }

  /** What an owner may try at any time, and is refused with a code. */
  #allowed(attempt: () => void): void {
    try {
      attempt();
    } catch (error) {
      if (!(error instanceof CulvertError)) throw error;
    }
  }

  #hear(): void {
    for (const event of this.session.takeEvents()) this.#heard(event);
  }

  #offered(incoming: IncomingStream): void {
    this.#incoming.add(incoming);
    incoming.onCancelled = () => void this.#incoming.delete(incoming);
  }

  #heard(event: SessionEvent): void {
    if (this.endedBy !== undefined) throw new Error(`${event.type} after the end`);
    if (event.type === "stream") this.#offered(event.incoming);
    else if (event.type === "tunnelOpen") this.#tunnels.add(event.tunnelId);
    else if (event.type === "tunnelClosed") this.#asked.delete(event.tunnelId);
    else if (event.type === "ended") this.endedBy = { code: event.error.code, by: event.by };
    if (event.type === "tunnelClose" && this.#tunnels.delete(event.tunnelId)) {
      this.session.tunnelClosed(event.tunnelId, "closed");
    }
  }
}

function most(what: string, value: number, limit: number): void {
  if (!(value >= 0 && value <= limit)) throw new Error(`${what}: ${value}, at most ${limit}`);
}
