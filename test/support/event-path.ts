import { soon } from "./deadline.ts";

/** What events tell of each state that something enters. */
interface Entry<State> {
  readonly current: State;
  readonly cause?: { readonly code: string } | undefined;
}

/** The states that something goes through, from now on. None is missed, however short it is. */
export class EventPath<State extends string, Event extends Entry<State>> {
  readonly events: Event[] = [];
  readonly #name: string;
  readonly #waiters = new Set<() => void>();

  /** @param subscribe Given a listener for all events. */
  constructor(name: string, subscribe: (listener: (event: Event) => void) => void) {
    this.#name = name;
    subscribe((event) => {
      this.events.push(event);
      for (const look of this.#waiters) look();
    });
  }

  /** The states in the order in which they came. */
  get path(): State[] {
    return this.events.map(({ current }) => current);
  }

  /** The codes of the causes with which that state was entered. */
  causes(state: State): (string | undefined)[] {
    return this.events.filter(({ current }) => current === state).map(({ cause }) => cause?.code);
  }

  /** How often that state was entered. */
  times(state: State): number {
    return this.causes(state).length;
  }

  /** Resolves when that state was entered `count` times in all, whatever came behind it. */
  async entered(state: State, count: number, patienceMs?: number): Promise<void> {
    await this.holds(() => this.times(state) >= count, `${count} times ${state}`, patienceMs);
  }

  /** Resolves when `condition` holds, looked at now and in each event. */
  protected async holds(condition: () => boolean, what: string, patienceMs?: number): Promise<void> {
    const held = new Promise<void>((resolve) => {
      const look = (): void => {
        if (!condition()) return;
        this.#waiters.delete(look);
        resolve();
      };
      this.#waiters.add(look);
      look();
    });
    await soon(held, `the ${this.#name}: ${what}`, patienceMs);
  }
}
