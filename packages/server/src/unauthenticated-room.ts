/** What waits: a socket, as far as it matters here. */
interface Waiting {
  destroy(): unknown;
}

/**
 * The connections that have not finished their handshake. There are never more than `capacity`: one more, and the one
 * that has waited longest is dropped. So silent connections cannot lock out a client, which needs a round trip only.
 */
export class UnauthenticatedRoom {
  readonly #capacity: number;
  /** In the order of arrival, as a Set iterates. */
  readonly #waiting = new Set<Waiting>();
  #dropped = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** How many were dropped to make room. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Enters a connection; entering twice keeps its first place. */
  enter(connection: Waiting): void {
    this.#waiting.add(connection);
    if (this.#waiting.size <= this.#capacity) return;
    const [oldest] = this.#waiting;
    if (oldest === undefined) return;
    this.#waiting.delete(oldest);
    this.#dropped += 1;
    oldest.destroy();
  }

  /** Drops all of them. */
  clear(): void {
    for (const connection of this.#waiting) connection.destroy();
    this.#waiting.clear();
  }

  /** It is through, or gone. */
  leave(connection: Waiting): void {
    this.#waiting.delete(connection);
  }
}
