import { pause } from "./pause.ts";

/** Waits for conditions of an object that says when it has changed. */
export class ChangeWatch {
  readonly #waiters = new Set<() => void>();

  /** Something has changed: look again. */
  changed(): void {
    for (const waiter of this.#waiters) waiter();
  }

  /** Resolves as soon as it holds, or after `timeoutMs`. */
  async until(holds: () => boolean, timeoutMs: number): Promise<void> {
    const done = new AbortController();
    const look = (): void => {
      if (holds()) done.abort();
    };
    this.#waiters.add(look);
    look();
    await pause(timeoutMs, done.signal);
    this.#waiters.delete(look);
  }
}
