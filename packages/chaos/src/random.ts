const GOLDEN = 0x9e3779b9;

/**
 * The mulberry32 generator (Tommy Ettinger, public domain): 32 bits of state, one addition, two multiplications.
 * The same seed gives the same numbers on every machine, which is all that is asked of it: it replays runs and is
 * no source of secrets.
 */
export class Random {
  /** The seed it started from. */
  readonly seed: number;
  #state: number;

  /**
   * @param seed an integer from 0 to 2^32 - 1.
   * @throws RangeError for anything else.
   */
  constructor(seed: number) {
    this.seed = checkSeed(seed);
    this.#state = seed | 0;
  }

  /**
   * A generator of its own for `label`, e.g. one per connection, so that what one part draws does not depend on how
   * often another part drew before.
   */
  derive(label: number): Random {
    return new Random(mix(mix(this.seed) ^ Math.imul(label + 1, GOLDEN)));
  }

  /** The next integer from 0 to 2^32 - 1. */
  uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    const a = this.#state;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** A number from 0 up to but without 1. */
  fraction(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  /** An integer from `min` to `max`, both included. */
  between(min: number, max: number): number {
    return min + Math.floor(this.fraction() * (max - min + 1));
  }

  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError("nothing to pick from");
    return items[this.between(0, items.length - 1)] as T;
  }

  /** A copy of `items` in random order (Fisher-Yates). */
  shuffle<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.between(0, i);
      [result[i], result[j]] = [result[j] as T, result[i] as T];
    }
    return result;
  }
}

/** Returns `seed` if it is one. @throws RangeError otherwise. */
export function checkSeed(seed: number): number {
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffff_ffff) {
    throw new RangeError(`seed must be an integer from 0 to 4294967295, not ${seed}`);
  }
  return seed;
}

/** The finalizer of MurmurHash3: every bit of the input changes half of the bits of the result. */
function mix(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
