import { describe, expect, it } from "vitest";
import { LogLimit } from "../src/log-limit.ts";

describe("LogLimit", () => {
  it("lets a burst pass, then one line a second, and counts the rest", () => {
    let now = 0;
    const limit = new LogLimit(() => now);
    for (let i = 0; i < 200; i += 1) expect(limit.admit("bad hello")).toBe(0);
    for (let i = 0; i < 50; i += 1) expect(limit.admit("bad hello")).toBeUndefined();
    now = 999;
    expect(limit.admit("bad hello")).toBeUndefined();
    now = 1000;
    expect(limit.admit("bad hello")).toBe(51);
    expect(limit.admit("bad hello")).toBeUndefined();
    now = 10_000_000;
    expect(limit.admit("bad hello")).toBe(1);
    for (let i = 0; i < 199; i += 1) expect(limit.admit("bad hello")).toBe(0);
    expect(limit.admit("bad hello")).toBeUndefined();
  });

  it("counts each message for itself", () => {
    const limit = new LogLimit(() => 0);
    for (let i = 0; i < 300; i += 1) limit.admit("one");
    expect(limit.admit("one")).toBeUndefined();
    expect(limit.admit("other")).toBe(0);
  });

  it("writes less than a megabyte for a million lines, however fast they come", () => {
    for (const stepMs of [0.001, 0.1, 1]) {
      let now = 0;
      const limit = new LogLimit(() => now);
      let lines = 0;
      for (let i = 0; i < 1_000_000; i += 1) {
        now += stepMs;
        if (limit.admit("bad hello") !== undefined) lines += 1;
      }
      expect(lines * 300).toBeLessThan(1_000_000);
    }
  });
});
