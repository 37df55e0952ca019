export interface BucketSize {
  /** As many at once. */
  readonly burst: number;
  /** And as many a second in the long run. */
  readonly perSecond: number;
}

/** How often something may be done. */
export class TokenBucket {
  readonly #size: BucketSize;
  #tokens: number;
  #at: number;

  /** @param tokens How many there are now, as far as there is room for them. Default: full. */
  constructor(size: BucketSize, now: number, tokens: number = size.burst) {
    this.#size = size;
    this.#tokens = tokens;
    this.#at = now;
  }

  /** How many could be taken at once. */
  level(now: number): number {
    const { burst, perSecond } = this.#size;
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#at) / 1000) * perSecond);
    this.#at = now;
    return this.#tokens;
  }

  /** False: not now. */
  take(now: number): boolean {
    if (this.level(now) < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
