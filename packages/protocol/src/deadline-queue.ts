/**
 * Things that each wait equally long, so that the first to come is the first to run out. One that no longer waits must be
 * taken out with `delete`, or it would be kept alive by an older one before it.
 */
export class DeadlineQueue<T extends { deadline: number }> {
  /** A Set iterates in the order of entry. */
  readonly #items = new Set<T>();
  /** Behind the head: a new iterator would walk over all that was deleted before it, each time. */
  #behind: Iterator<T> = this.#items.values();
  #head: T | undefined;

  push(item: T): void {
    this.#items.add(item);
  }

  has(item: T): boolean {
    return this.#items.has(item);
  }

  delete(item: T): boolean {
    if (item === this.#head) this.#head = undefined;
    return this.#items.delete(item);
  }

  /** The item that has waited longest. */
  get first(): T | undefined {
    if (this.#head !== undefined || this.#items.size === 0) return this.#head;
    let next = this.#behind.next();
    if (next.done === true) {
      // It came to the end once, and never sees what was added then.
      this.#behind = this.#items.values();
      next = this.#behind.next();
    }
    this.#head = next.value;
    return this.#head;
  }

  get size(): number {
    return this.#items.size;
  }

  get deadline(): number {
    return this.first?.deadline ?? Number.POSITIVE_INFINITY;
  }

  /** Takes out every item whose deadline has come. */
  takeExpired(now: number): T[] {
    const expired: T[] = [];
    for (;;) {
      const item = this.first;
      if (item === undefined || item.deadline > now) return expired;
      this.delete(item);
      expired.push(item);
    }
  }

  clear(): void {
    this.#items.clear();
    this.#head = undefined;
  }
}
