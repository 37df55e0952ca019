import { describe, expect, it } from "vitest";
import { runSeeds } from "./simulation/seeds.ts";

/**
 * Two sessions over a link that is cut at random (see simulation/world.ts). A seed that fails is named in the error and
 * replays alone with `node packages/protocol/test/simulation/main.ts SEED 1`.
 */
describe("two sessions over a link that keeps breaking", () => {
  it("deliver each byte once and in order, or fail by name, in 10,000 seeds", () => {
    const report = runSeeds(1, 10_000);
    expect(report.counted).toBe(10_000);
    // A fifth at least must have been pressed against both bounds, or the seeds prove little.
    expect(report.pressed).toBeGreaterThan(2_000);
    expect(report.ended).toBeGreaterThan(50);
    expect(report.replayed).toBeGreaterThan(10_000);
  });
});
