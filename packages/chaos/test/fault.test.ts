import { describe, expect, it } from "vitest";
import { type DirectionFault, MAX_QUEUE_BYTES, resolveFault } from "../src/fault.ts";

describe("resolveFault", () => {
  it("has room for 1 Gbit/s through 100 ms with jitter", () => {
    expect(resolveFault({ delayMs: 100, jitterMs: 50 }).queueBytes).toBe(MAX_QUEUE_BYTES);
    expect(MAX_QUEUE_BYTES).toBeGreaterThan((1e9 / 8) * 0.15);
  });

  it("keeps little where nothing is delayed, and the line's content behind a bottleneck", () => {
    expect(resolveFault({ bytesPerSecond: 1_000 }).queueBytes).toBe(65_536);
    expect(resolveFault("pass").queueBytes).toBe(65_536);
    expect(resolveFault({ delayMs: 1_000, bytesPerSecond: 1_000_000 }).queueBytes).toBe(1_065_536);
  });

  it.each<[unknown, string]>([
    ["pas", '"pass", "stall", "blackhole"'],
    [null, '"pass", "stall", "blackhole"'],
    [{ delay: 5 }, 'no option "delay"'],
    [{ delayMs: -1 }, "delayMs must be a number from 0"],
    [{ delayMs: Number.NaN }, "delayMs"],
    [{ jitterMs: "5" }, "jitterMs"],
    [{ bytesPerSecond: 0 }, 'use "stall" for none'],
    [{ slice: { maxBytes: 0 } }, "slice.maxBytes"],
    [{ slice: { maxBytes: 1.5 } }, "whole number"],
    [{ slice: { maxBytes: 5, minBytes: 6 } }, "slice.minBytes must be a number from 1 to 5"],
    [{ slice: { max: 5 } }, 'slice has no option "max"'],
    [{ flipBit: {} }, "either everyBytes or atByte"],
    [{ flipBit: { everyBytes: 1, atByte: 1 } }, "either everyBytes or atByte"],
    [{ flipBit: { everyBytes: 0 } }, "flipBit.everyBytes"],
  ])("refuses %j", (fault, message) => {
    expect(() => resolveFault(fault as DirectionFault)).toThrow(message);
  });
});
