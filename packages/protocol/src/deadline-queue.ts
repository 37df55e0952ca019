/** Things that each wait equally long, so that the first to come is the first to run out. */
export class DeadlineQueue<T extends { deadline: number }> {
  #items: T[] = [];
  #head = 0;
  readonly #isWaiting: (item: T) => boolean;

  /** @param isWaiting Whether an item still waits; one that does not is dropped when its turn comes. */
  constructor(isWaiting: (item: T) => boolean) {
    this.#isWaiting = isWaiting;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** The item that has waited longest. */
  get first(): T | undefined {
    while (this.#head < this.#items.length) {
      const item = this.#items[this.#head] as T;
      if (this.#isWaiting(item)) return item;
      this.#head += 1;
    }
    this.#items = [];
    this.#head = 0;
    return undefined;
  }

  shift(): T | undefined {
    const item = this.first;
    if (item === undefined) return undefined;
    this.#head += 1;
    if (this.#head >= 256 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  get deadline(): number {
    return this.first?.deadline ?? Number.POSITIVE_INFINITY;
  }
}
