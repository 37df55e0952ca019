/**
 * Things that each wait equally long, so that the first to come is the first to run out. One that no longer waits must be
 * taken out with `delete`, or it would be kept alive by an older one before it.
 */
export class DeadlineQueue<T extends { deadline: number }> {
  /** A Set iterates in the order of entry. */
  readonly #items = new Set<T>();

  push(item: T): void {
    this.#items.add(item);
  }

  has(item: T): boolean {
    return this.#items.has(item);
  }

  delete(item: T): boolean {
    return this.#items.delete(item);
  }

  /** The item that has waited longest. */
  get first(): T | undefined {
    for (const item of this.#items) return item;
    return undefined;
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
    for (const item of this.#items) {
      if (item.deadline > now) break;
      this.#items.delete(item);
      expired.push(item);
    }
    return expired;
  }

  clear(): void {
    this.#items.clear();
  }
}
