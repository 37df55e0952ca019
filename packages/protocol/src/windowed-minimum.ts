/** The smallest of the values of late: of the time that runs and of the one before it, `windowMs` each. */
export class WindowedMinimum {
  readonly #windowMs: number;
  #since = Number.NEGATIVE_INFINITY;
  #now = Number.POSITIVE_INFINITY;
  #before = Number.POSITIVE_INFINITY;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Infinite when there is none. */
  get value(): number {
    return Math.min(this.#now, this.#before);
  }

  add(value: number, now: number): void {
    if (now - this.#since >= this.#windowMs) {
      this.#before = now - this.#since < 2 * this.#windowMs ? this.#now : Number.POSITIVE_INFINITY;
      this.#now = Number.POSITIVE_INFINITY;
      this.#since = now;
    }
    this.#now = Math.min(this.#now, value);
  }

  clear(): void {
    this.#since = Number.NEGATIVE_INFINITY;
    this.#now = Number.POSITIVE_INFINITY;
    this.#before = Number.POSITIVE_INFINITY;
  }
}
