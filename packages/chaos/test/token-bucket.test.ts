import { describe, expect, it } from "vitest";
import { TokenBucket } from "../src/token-bucket.ts";

describe("TokenBucket", () => {
  it.each([1, 7, 1_000, 1_000_000])("never gives more than %i bytes/s and two bursts", (rate) => {
    const bucket = new TokenBucket(rate, 0);
    let now = 0;
    let given = 0;
    for (let i = 0; i < 2_000; i++) {
      const taken = bucket.take(64 * 1024, now);
      given += taken;
      expect(given).toBeLessThanOrEqual((rate * now) / 1_000 + 1e-6);
      if (taken === 0) now += Math.max(1e-3, bucket.waitMs(64 * 1024));
    }
    expect(given).toBeGreaterThan((rate * now) / 1_000 - 2 * Math.max(1, rate / 200) - 1);
  });

  it("saves up two bursts at most", () => {
    const bucket = new TokenBucket(1_000, 0);
    expect(bucket.take(1_000, 60_000)).toBe(10);
  });

  it("waits no longer than for what is wanted", () => {
    const bucket = new TokenBucket(1_000_000, 0);
    expect(bucket.take(10, 0)).toBe(0);
    expect(bucket.waitMs(10)).toBeCloseTo(0.01);
  });
});
