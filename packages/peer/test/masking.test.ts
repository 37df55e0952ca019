import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MASKINGS, mask } from "../src/masking.ts";

describe("mask", () => {
  test("whatever the key, the length and the place: XORs, as RFC 6455 section 5.3 says, and nothing else", () => {
    const length = fc.oneof(
      fc.nat({ max: 20 }),
      fc.integer({ min: 40, max: 60 }), // where native code takes over
      fc.nat({ max: 5000 }),
    );
    const key = fc.oneof(
      { weight: 6, arbitrary: fc.uint8Array({ minLength: 4, maxLength: 4 }) },
      { weight: 1, arbitrary: fc.constantFrom([0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0xff, 0, 0, 0]) },
    );
    const place = fc.nat({ max: 17 });
    void fc.assert(
      fc.property(length, key, place, place, place, fc.nat(), (length, key, from, to, keyAt, seed) => {
        const memory = Uint8Array.from({ length: from + length }, (_, at) => (at * 31 + seed) & 255);
        const source = memory.subarray(from);
        const keyMemory = new Uint8Array(keyAt + 9).fill(0xdd);
        keyMemory.set(key, keyAt);
        const target = Buffer.alloc(to + length + 17, 0xee);
        const expected = Buffer.from(target);
        for (const [at, byte] of source.entries()) expected[to + at] = byte ^ (key[at % 4] as number);
        const before = [Buffer.from(memory), Buffer.from(keyMemory)] as const;

        mask(source, keyMemory.subarray(keyAt, keyAt + 4), target, to);

        expect(target.equals(expected)).toBe(true);
        expect(before[0].equals(memory)).toBe(true);
        expect(before[1].equals(keyMemory)).toBe(true);
      }),
      { seed: 20_251_121, numRuns: 1000 },
    );
  });

  test("twice with one key is the message again", () => {
    const message = Uint8Array.from({ length: 70_001 }, (_, at) => (at * 31) & 255);
    const key = Uint8Array.of(1, 200, 3, 4);
    const masked = new Uint8Array(message.length + 3);
    const back = new Uint8Array(message.length);
    mask(message, key, masked, 3);
    mask(masked.subarray(3), key, back, 0);
    expect(Buffer.compare(back, message)).toBe(0);
  });
});

describe("the keys", () => {
  test("of zeros leave a message as it is", () => {
    for (const length of [0, 5, 48, 3000]) {
      const message = Uint8Array.from({ length }, (_, at) => (at * 31) & 255);
      const target = new Uint8Array(length);
      const key = MASKINGS.zero.nextKey();
      expect([...key]).toEqual([0, 0, 0, 0]);
      mask(message, key, target, 0);
      expect(target).toEqual(message);
    }
  });

  test("at random are four bytes that tell nothing about the next ones", () => {
    const count = 5000; // more than random bytes are fetched for at a time
    const keys = Array.from({ length: count }, () => Buffer.from(MASKINGS.random.nextKey()));
    for (const key of keys) expect(key.length).toBe(4);
    // One is there twice by chance in 300 runs, two of them never.
    expect(new Set(keys.map((key) => key.toString("hex"))).size).toBeGreaterThanOrEqual(count - 1);
    for (const at of [0, 1, 2, 3]) expect(new Set(keys.map((key) => key[at])).size).toBe(256);
    // None begins with bytes of the one before it.
    for (const shift of [1, 2]) {
      const parts = keys.filter(
        (key, n) => n > 0 && key.subarray(0, 4 - shift).equals(keys[n - 1]!.subarray(shift)),
      );
      expect(parts.length).toBeLessThan(4);
    }
  });
});
