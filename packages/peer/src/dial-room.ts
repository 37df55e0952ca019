/** How many dials may be under way at once, of everybody who shares it: each has a descriptor, a timer and a stream that waits. */
export class DialRoom {
  readonly #capacity: number;
  #inside = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** False when it is full; otherwise call `leave` when the dial is over, however it ended. */
  enter(): boolean {
    if (this.#inside >= this.#capacity) return false;
    this.#inside += 1;
    return true;
  }

  leave(): void {
    this.#inside -= 1;
  }
}
