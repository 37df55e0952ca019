import { describe, expect, it } from "vitest";
import { type DirectionFault, resolveFault } from "../src/fault.ts";
import { Random } from "../src/random.ts";
import { Schedule } from "../src/schedule.ts";

const schedule = (fault: DirectionFault): Schedule => new Schedule(resolveFault(fault), new Random(1));

describe("Schedule", () => {
  it("lets go at once without a delay", () => {
    expect(schedule("pass").due(7)).toBe(7);
    expect(schedule({ bytesPerSecond: 5 }).due(7)).toBe(7);
  });

  it("draws the delay within the jitter, and never below zero", () => {
    const both = schedule({ delayMs: 10, jitterMs: 20 });
    const delays = Array.from({ length: 1_000 }, () => both.due(100) - 100);
    expect(Math.min(...delays)).toBe(0);
    expect(Math.max(...delays)).toBeGreaterThan(25);
    expect(Math.max(...delays)).toBeLessThanOrEqual(both.latest(100) - 100);
  });

  it("gathers what comes before a batch leaves", () => {
    const batches = schedule({ coalesceMs: 10, delayMs: 100 });
    expect([0, 3, 9.9, 10, 15, 40].map((now) => batches.due(now))).toEqual([110, 110, 110, 120, 120, 150]);
  });
});
