import type { Liveness } from "./liveness.ts";
import type { OpenWatch, Outbox } from "./outbox.ts";
import type { SessionOptions } from "./session-options.ts";
import type { StreamCore } from "./stream-core.ts";
import type { StreamTable } from "./stream-table.ts";

/**
 * What streams wait for from the peer, and how long: the answer to an open, and use of a window that was granted. These
 * run on the attached clock, which stands still while there is no transport.
 */
export class StreamDeadlines implements OpenWatch {
  readonly #options: SessionOptions;
  readonly #streams: StreamTable;
  readonly #outbox: Outbox;
  readonly #liveness: Liveness;
  /** Time attached before this attachment. */
  #attachedBefore = 0;
  #attachedSince: number | undefined;
  #attachments = 0;

  constructor(options: SessionOptions, streams: StreamTable, outbox: Outbox, liveness: Liveness) {
    this.#options = options;
    this.#streams = streams;
    this.#outbox = outbox;
    this.#liveness = liveness;
  }

  attach(now: number): void {
    this.#attachedSince = now;
    this.#attachments += 1;
  }

  detach(now: number): void {
    if (this.#attachedSince !== undefined) this.#attachedBefore += now - this.#attachedSince;
    this.#attachedSince = undefined;
  }

  /** When `check` has something to do, while attached. */
  get next(): number {
    if (this.#attachedSince === undefined) return Number.POSITIVE_INFINITY;
    const first = Math.min(this.#streams.askedDeadline, this.#streams.useDeadline);
    return this.#attachedSince + first - this.#attachedBefore;
  }

  opened(stream: StreamCore, now: number): void {
    stream.askedIn = this.#attachments;
    this.#streams.opened(stream, this.clock(now) + this.#options.openTimeoutMs);
  }

  /** The peer granted the stream a window: is it used? */
  watchUse(stream: StreamCore, now: number): void {
    // Until the answer the stream waits for that, with a deadline of its own.
    if (!stream.isUnanswered) this.#watchUse(stream, this.clock(now));
  }

  check(now: number): void {
    const clock = this.clock(now) + ROUNDING_MS;
    this.#giveUpAsked(now, clock);
    this.#releaseUnused(clock);
  }

  /**
   * A link that died, and was not found dead yet, is not the peer's silence: its opens are answered after the resume. The time
   * until it was found dead counted, so who waited on it waits once more on the next one.
   */
  #giveUpAsked(now: number, clock: number): void {
    for (const stream of this.#streams.expiredAsked(clock)) {
      const mayBeLost =
        stream.askedIn !== this.#attachments ||
        this.#liveness.isQuiet(now) ||
        !this.#outbox.isAcknowledged(stream.openNumber);
      stream.askedIn = this.#attachments;
      if (!mayBeLost || stream.extensions >= MOST_EXTENSIONS) stream.giveUp("open_timeout");
      else this.#streams.askAgain(stream, clock + this.#options.openTimeoutMs);
    }
  }

  /** Streams that have not used their windows for long give them back: the peer keeps memory for each. */
  #releaseUnused(clock: number): void {
    for (const stream of this.#streams.expiredUse(clock)) {
      const use = stream.useOfWindow();
      if (use === "surplus") this.#outbox.releaseDue(stream);
      // Also then: before the RELEASE leaves there may be something to send again.
      if (use !== "none") this.#watchUse(stream, clock);
    }
  }

  #watchUse(stream: StreamCore, clock: number): void {
    const { unusedWindowMs } = this.#options;
    if (unusedWindowMs > 0) this.#streams.watchUse(stream, clock + unusedWindowMs);
  }

  /** Time attached by `now`, of all attachments together. */
  clock(now: number): number {
    return this.#attachedBefore + (this.#attachedSince === undefined ? 0 : now - this.#attachedSince);
  }
}

/** Of the time for an answer to an open, before it is given up whatever the link is like. */
const MOST_EXTENSIONS = 2;
/** The attached clock is a sum of differences: a deadline on it must not be missed by the last bit, again and again. */
const ROUNDING_MS = 0.001;
