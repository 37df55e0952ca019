/** Lines that one message may have in a burst, and how fast it earns new ones. */
const BURST = 200;
const REFILL_MS = 1000;
/** Messages are constants of the code, so there are few; a bound all the same. */
const MAX_MESSAGES = 1000;

interface Bucket {
  lines: number;
  at: number;
  suppressed: number;
}

/**
 * Keeps one message from filling the disk: 200 lines at once, then one a second. A stranger can cause the same line as
 * often as he can connect. Lines are counted by message, since messages are constant and all data is in fields.
 */
export class LogLimit {
  readonly #buckets = new Map<string, Bucket>();
  readonly #now: () => number;

  /** @param now A monotonic clock, ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** May this line be written? Then how many like it were not since the last one that was; otherwise undefined. */
  admit(message: string): number | undefined {
    const now = this.#now();
    const bucket = this.#buckets.get(message) ?? this.#add(message, now);
    const earned = Math.floor((now - bucket.at) / REFILL_MS);
    if (earned > 0) {
      bucket.lines = Math.min(BURST, bucket.lines + earned);
      bucket.at += earned * REFILL_MS;
    }
    if (bucket.lines === 0) {
      bucket.suppressed += 1;
      return undefined;
    }
    bucket.lines -= 1;
    const { suppressed } = bucket;
    bucket.suppressed = 0;
    return suppressed;
  }

  #add(message: string, at: number): Bucket {
    if (this.#buckets.size >= MAX_MESSAGES) this.#buckets.clear();
    const bucket = { lines: BURST, at, suppressed: 0 };
    this.#buckets.set(message, bucket);
    return bucket;
  }
}
