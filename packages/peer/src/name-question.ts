import type { LookupAddress } from "node:dns";
import { isIP, type LookupFunction } from "node:net";

export type Addresses = readonly LookupAddress[];
type Listener = (error: unknown, addresses: Addresses) => void;

/**
 * One question to a resolver, and all who want its answer. A resolver cannot be stopped, so once it is asked the question
 * goes on until it answers; who takes its listener off is forgotten at once, however many come and go meanwhile.
 */
export class NameQuestion {
  readonly host: string;
  /** In the order in which they came. */
  readonly #listeners = new Set<Listener>();
  readonly #onUnwanted: (question: NameQuestion) => void;
  #tell: ((listener: Listener) => void) | undefined;

  /** @param onUnwanted Called whenever the last listener was taken off before the answer. */
  constructor(host: string, onUnwanted: (question: NameQuestion) => void) {
    this.host = host;
    this.#onUnwanted = onUnwanted;
  }

  /** Asks. Once. */
  ask(lookup: LookupFunction): void {
    try {
      lookup(this.host, { all: true }, (error, addresses, family) => {
        if (error !== null && error !== undefined) this.settle(error, []);
        // A lookup of somebody's own may ignore `all`, or find nothing without calling it an error.
        else if (typeof addresses === "string")
          this.settle(undefined, [{ address: addresses, family: family ?? isIP(addresses) }]);
        else if (addresses.length === 0)
          this.settle(Object.assign(new Error(`no address for ${this.host}`), { code: "ENOTFOUND" }), []);
        else this.settle(undefined, addresses);
      });
    } catch (error) {
      this.settle(error, []);
    }
  }

  /** Calls `listener` once: with the resolver's error or with addresses, at once if they are there. Returns what takes it off. */
  hear(listener: Listener): () => void {
    if (this.#tell !== undefined) this.#tell(listener);
    else this.#listeners.add(listener);
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#onUnwanted(this);
    };
  }

  /** The answer, from wherever it came; only the first one counts. */
  settle(error: unknown, addresses: Addresses): void {
    if (this.#tell !== undefined) return;
    this.#tell = (listener) => listener(error, addresses);
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) this.#tell(listener);
  }
}
