import type { ErrorCode } from "./errors.ts";

/** Is the transport alive? Pings on time, counts any byte as life, and judges silence only after a fair look. */
export class Liveness {
  readonly #options: LivenessOptions;
  #attached = false;
  #lastHeard = 0;
  #nextPing = 0;
  #pingDue = false;
  readonly #silence = new Term();
  readonly #stall = new Term();
  /** After a sleep of the machine the peer has only this long to show life. */
  #suspectUntil: number | undefined;
  #token = 0;
  #awaited: { readonly token: number; readonly sentAt: number } | undefined;
  /** Last time that an ack came, or that something went into empty flight. */
  #lastProgress = 0;

  constructor(options: LivenessOptions) {
    this.#options = options;
  }

  attach(now: number): void {
    this.#attached = true;
    this.#lastHeard = now;
    this.#lastProgress = now;
    this.#pingDue = true; // at once: measures the round trip, and shows the server that its WELCOME arrived
    this.#awaited = undefined;
    this.#suspectUntil = undefined;
    this.#plan(now);
  }

  detach(): void {
    this.#attached = false;
  }

  heard(now: number): void {
    this.#lastHeard = now;
    this.#suspectUntil = undefined;
  }

  /** Has nothing come for longer than a living peer would be silent? */
  isQuiet(now: number): boolean {
    return now - this.#lastHeard > QUIET_PINGS * this.#options.pingIntervalMs;
  }

  progress(now: number): void {
    this.#lastProgress = now;
  }

  /** The machine seems to have slept: ask at once, and give the answer a short time only. */
  suspect(now: number): void {
    if (!this.#attached) return;
    this.#pingDue = true;
    this.#suspectUntil = now + SUSPECT_MS;
  }

  get pingDue(): boolean {
    return this.#pingDue;
  }

  /** The ping that leaves now. */
  takePing(now: number): number {
    // Stood still with the ping in its hands: the peer is asked only now, and gets the time to answer.
    if (this.#pingDue && now - this.#nextPing > LATE_MS)
      this.#silence.extend(this.#silenceAt(), now + SUSPECT_MS);
    this.#pingDue = false;
    this.#token = (this.#token + 1) % 2 ** 32;
    this.#awaited = { token: this.#token, sentAt: now };
    this.#plan(now);
    return this.#token;
  }

  /** The round trip in ms, when the pong answers the last ping; any other pong says nothing. */
  pong(token: number, now: number): number | undefined {
    if (this.#awaited?.token !== token) return undefined;
    const rtt = now - this.#awaited.sentAt;
    this.#awaited = undefined;
    return rtt;
  }

  nextDeadline(inFlight: boolean): number {
    if (!this.#attached) return Number.POSITIVE_INFINITY;
    return Math.min(
      this.#silence.endOf(this.#silenceAt()),
      this.#stall.endOf(this.#stallAt(inFlight)),
      this.#pingDue ? Number.POSITIVE_INFINITY : this.#nextPing,
    );
  }

  /** Marks a due ping, and says whether the transport is to be given up. */
  check(now: number, inFlight: boolean): ErrorCode | undefined {
    if (!this.#attached) return undefined;
    // It stood still when it should have pinged: the peer was silent because nobody asked. Ask now, and as after a sleep.
    const isAskingLate = now - this.#nextPing > LATE_MS && !this.#pingDue && this.#awaited === undefined;
    if (now >= this.#nextPing) this.#pingDue = true;
    if (this.#silence.isOver(this.#silenceAt(), now, isAskingLate ? SUSPECT_MS : 0)) return "peer_silent";
    return this.#stall.isOver(this.#stallAt(inFlight), now, 0) ? "transport_stalled" : undefined;
  }

  #stallAt(inFlight: boolean): number {
    return inFlight ? this.#lastProgress + this.#options.stallMs : Number.POSITIVE_INFINITY;
  }

  #silenceAt(): number {
    return Math.min(
      this.#lastHeard + this.#options.silenceMs,
      this.#suspectUntil ?? Number.POSITIVE_INFINITY,
    );
  }

  #plan(now: number): void {
    this.#nextPing = now + this.#options.pingIntervalMs * (0.9 + 0.2 * this.#options.random());
  }
}

/** The end of a time-out, which may be put off once: for whatever moves it there is a new end, and a new chance. */
class Term {
  #putOff = Number.NaN;
  #until = 0;

  endOf(dueAt: number): number {
    return this.#putOff === dueAt ? Math.max(dueAt, this.#until) : dueAt;
  }

  extend(dueAt: number, until: number): void {
    this.#putOff = dueAt;
    this.#until = until;
  }

  /** @param graceMs What is given the first time. A clock that is late gives some by itself. */
  isOver(dueAt: number, now: number, graceMs: number): boolean {
    if (now < this.endOf(dueAt)) return false;
    if (this.#putOff === dueAt) return true;
    // A loop that was late has bytes waiting in the kernel that it had no chance to read: read first, judge after.
    const lateMs = now - dueAt > LATE_MS ? LATE_MS : 0;
    if (graceMs === 0 && lateMs === 0) return true;
    this.extend(dueAt, now + Math.max(graceMs, lateMs));
    return false;
  }
}

export interface LivenessOptions {
  readonly pingIntervalMs: number;
  readonly silenceMs: number;
  readonly stallMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Both ends ping: after one and a half intervals without a byte something is wrong. */
const QUIET_PINGS = 1.5;
const SUSPECT_MS = 5_000;
const LATE_MS = 1_000;
