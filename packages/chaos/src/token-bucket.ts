/** How often a full bucket could be emptied: bursts are a 200th of a second's bytes, and timers need not be finer. */
const BURSTS_PER_SECOND = 200;

/** Paces bytes to a rate. Starts empty, so that n bytes take at least (n - two bursts) / rate seconds. */
export class TokenBucket {
  readonly #bytesPerMs: number;
  readonly #burst: number;
  #tokens = 0;
  #filledAt: number;

  /** @param now ms of the monotonic clock, as in every later call. */
  constructor(bytesPerSecond: number, now: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#burst = Math.max(1, Math.ceil(bytesPerSecond / BURSTS_PER_SECOND));
    this.#filledAt = now;
  }

  /** Takes up to `wanted` bytes; 0 says that it pays to wait {@link waitMs} first. */
  take(wanted: number, now: number): number {
    this.#tokens = Math.min(this.#burst * 2, this.#tokens + (now - this.#filledAt) * this.#bytesPerMs);
    this.#filledAt = now;
    if (this.#tokens < Math.min(wanted, this.#burst)) return 0;
    const taken = Math.min(wanted, Math.floor(this.#tokens));
    this.#tokens -= taken;
    return taken;
  }

  /** How long after the last {@link take} it gives `wanted` bytes, or a burst of them. */
  waitMs(wanted: number): number {
    return Math.max(0, (Math.min(wanted, this.#burst) - this.#tokens) / this.#bytesPerMs);
  }
}
