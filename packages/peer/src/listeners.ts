/** Who is told of events: a discriminated union by `type`. */
export class Listeners<E extends { readonly type: string }> {
  readonly #byType = new Map<string, Set<(event: E) => void>>();

  /** Returns what takes the listener off again. */
  on<T extends E["type"]>(type: T, listener: (event: Extract<E, { readonly type: T }>) => void): () => void {
    // A wrapper of its own, so that the same function put on twice is called twice and taken off once.
    const entry = (event: E): void => listener(event as Extract<E, { readonly type: T }>);
    const listeners = this.#byType.get(type) ?? new Set();
    this.#byType.set(type, listeners.add(entry));
    return () => void listeners.delete(entry);
  }

  tell(event: E): void {
    for (const listener of [...(this.#byType.get(event.type) ?? [])]) {
      try {
        listener(event);
      } catch (error) {
        // Its bug must be seen, but must not tear what was being done when the event was told: often a session's callback.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
