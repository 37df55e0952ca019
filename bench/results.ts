import { type Contender, nameOf } from "./contender.ts";
import type { Figure } from "./measures/figure.ts";
import { type Spread, spread } from "./statistics.ts";

/** What came of one figure for one contender. */
export type Cell =
  | { readonly kind: "measured"; readonly values: ReadonlyMap<number, number>; readonly spread: Spread }
  | { readonly kind: "failed"; readonly reason: string }
  /** Not asked for, or there is no such thing here. */
  | { readonly kind: "none" };

/** All values of a run, by figure, contender and round. */
export class Results {
  readonly #values = new Map<string, Map<number, number>>();
  readonly #failures = new Map<string, string>();

  add(figure: Figure, contender: Contender, round: number, value: number): void {
    const key = keyOf(figure, contender);
    const values = this.#values.get(key) ?? new Map<number, number>();
    values.set(round, value);
    this.#values.set(key, values);
  }

  fail(figure: Figure, contender: Contender, reason: string): void {
    this.#failures.set(keyOf(figure, contender), reason);
  }

  /** A figure that failed in one round and not in another has values. */
  cell(figure: Figure, contender: Contender): Cell {
    const key = keyOf(figure, contender);
    const values = this.#values.get(key);
    if (values !== undefined) return { kind: "measured", values, spread: spread([...values.values()]) };
    const reason = this.#failures.get(key);
    return reason === undefined ? { kind: "none" } : { kind: "failed", reason };
  }

  /** The last failure of this cell, also of one that has values. */
  failure(figure: Figure, contender: Contender): string | undefined {
    return this.#failures.get(keyOf(figure, contender));
  }
}

function keyOf(figure: Figure, contender: Contender): string {
  return `${figure.id} ${nameOf(contender)}`;
}
