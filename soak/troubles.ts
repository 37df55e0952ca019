/** What troubles a client at the moment, and how much calm it had so far. */
export class Troubles {
  readonly #now = new Map<string, number>();
  #calmMs = 0;
  #calmSince = performance.now();

  /** A trouble begins; call what is returned when it is over. */
  begin(name: string): () => void {
    if (this.isCalm) this.#calmMs = this.calmMs;
    this.#now.set(name, (this.#now.get(name) ?? 0) + 1);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      const left = (this.#now.get(name) ?? 0) - 1;
      if (left > 0) this.#now.set(name, left);
      else this.#now.delete(name);
      if (this.isCalm) this.#calmSince = performance.now();
    };
  }

  get isCalm(): boolean {
    return this.#now.size === 0;
  }

  /** The sum of all times without any trouble: somebody who waits through this much of it waits for nothing. */
  get calmMs(): number {
    return this.#calmMs + (this.isCalm ? performance.now() - this.#calmSince : 0);
  }

  get text(): string {
    return [...this.#now.keys()].join(", ") || "none";
  }
}
