import * as fc from "fast-check";

/**
 * Checks a property with a seed that is the same in every run, so that a red run is red for everybody. fast-check
 * prints the seed and the smallest counterexample. `PROPERTY_SEED` and `PROPERTY_RUNS` in the environment look further.
 */
export function holds<Ts>(property: fc.IRawProperty<Ts>, runs = 500): void {
  void fc.assert(property, {
    seed: Number(process.env.PROPERTY_SEED ?? 20_251_121),
    numRuns: Number(process.env.PROPERTY_RUNS ?? runs),
  });
}
