import type { ResolvedRetryOptions } from "./retry-options.ts";

/**
 * A server's wish counts up to this while there is a session to resume: the grace runs meanwhile, and whoever gave the
 * wish, a proxy perhaps, does not know of it.
 */
const RESUMABLE_RETRY_AFTER_CAP_MS = 10_000;

/** What is to happen next. */
export type BackoffStep =
  | { readonly kind: "dial"; readonly delayMs: number }
  | { readonly kind: "give_up"; readonly code: "attempts_exhausted" | "deadline_exhausted" };

export interface BackoffRequest {
  /** Monotonic clock, ms. */
  readonly now: number;
  /** Is there a session that a new transport could resume? Then somebody is waiting, and the cap is lower. */
  readonly resumable: boolean;
  /** The server's wish, ms from now. */
  readonly retryAfterMs?: number | undefined;
}

/**
 * The ladder of waits between dials: exponential with full jitter, drawn anew for every dial (A. Brooker, "Exponential
 * Backoff And Jitter", 2015). Pure: time comes in with each call, randomness with the constructor.
 *
 * Two things are counted apart. The ladder's step starts anew with the first session, and later only after a transport that
 * lived `stableMs`, so that a link which comes up and breaks at once is not dialed in a tight circle. The limits (`maxAttempts`, `maxElapsedMs`) count
 * from the last time that a session was open, however short that was: they are about not getting through at all.
 */
export class Backoff {
  readonly #options: ResolvedRetryOptions;
  readonly #random: () => number;
  /** Dials since the ladder started; the first has its own delay. */
  #step = 0;
  /** Dials since a session was open. */
  #attempts = 0;
  /** When the time without a session began. */
  #since: number | undefined;
  #openedAt: number | undefined;
  #hasOpened = false;

  constructor(options: ResolvedRetryOptions, random: () => number) {
    this.#options = options;
    this.#random = random;
  }

  /** Dials since a session was last open. */
  get attempts(): number {
    return this.#attempts;
  }

  /** The wait before the next dial, or the end. */
  next({ now, resumable, retryAfterMs = 0 }: BackoffRequest): BackoffStep {
    this.#since ??= now;
    const { maxAttempts, maxElapsedMs, retryAfterCapMs } = this.#options;
    const longest = resumable ? Math.min(retryAfterCapMs, RESUMABLE_RETRY_AFTER_CAP_MS) : retryAfterCapMs;
    if (maxAttempts !== undefined && this.#attempts >= maxAttempts) {
      return { kind: "give_up", code: "attempts_exhausted" };
    }
    // The jitter comes on top of the server's wish: it told the same number to everybody.
    const delayMs = Math.round(this.#jittered(resumable) + Math.min(retryAfterMs, longest));
    if (maxElapsedMs !== undefined && now + delayMs - this.#since > maxElapsedMs) {
      return { kind: "give_up", code: "deadline_exhausted" };
    }
    this.#step += 1;
    this.#attempts += 1;
    return { kind: "dial", delayMs };
  }

  #jittered(resumable: boolean): number {
    const { firstDelayMs, baseMs, factor, resumableCapMs, capMs } = this.#options;
    if (this.#step === 0) return this.#random() * firstDelayMs;
    const cap = resumable ? resumableCapMs : capMs;
    return ladderDelay(this.#step - 1, { baseMs, factor, capMs: cap }, this.#random);
  }

  /** A session is open over a new transport. */
  opened(now: number): void {
    // Until now nothing can have come up and broken again: the first redial is immediate.
    if (!this.#hasOpened) this.#step = 0;
    this.#hasOpened = true;
    this.#attempts = 0;
    this.#since = undefined;
    this.#openedAt = now;
  }

  /** That transport is gone. */
  closed(now: number): void {
    if (this.#openedAt === undefined) return;
    if (now - this.#openedAt >= this.#options.stableMs) this.#step = 0;
    this.#openedAt = undefined;
    this.#since = now;
  }
}

/** Full jitter: uniform between 0 and `min(capMs, baseMs * factor ** step)`. */
export function ladderDelay(
  step: number,
  ladder: { readonly baseMs: number; readonly factor: number; readonly capMs: number },
  random: () => number,
): number {
  return random() * Math.min(ladder.capMs, ladder.baseMs * ladder.factor ** step);
}
