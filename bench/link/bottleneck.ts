/** One direction of a link, shared by all connections on it: bytes leave one after the other at its rate. */
export class Bottleneck {
  readonly #bytesPerMs: number;
  #freeAt = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  /** Queues bytes; returns when the last of them has left, ms. */
  pass(bytes: number, now: number): number {
    this.#freeAt = Math.max(this.#freeAt, now) + bytes / this.#bytesPerMs;
    return this.#freeAt;
  }

  /** How long what waits now will take, ms. */
  backlogMs(now: number): number {
    return Math.max(0, this.#freeAt - now);
  }
}
