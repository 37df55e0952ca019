import { describe, expect, test } from "vitest";
import { copyOf, free, isFreeable } from "../src/own-memory.ts";

/** Not in the types of Node. */
declare const WebAssembly: { Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer } };

const LARGE = 20_000;

function large(): Uint8Array {
  return new Uint8Array(LARGE).fill(7);
}

describe("memory of one owner", () => {
  test("is empty when it was freed, in every view", () => {
    const whole = large();
    const part = whole.subarray(5);
    expect(isFreeable(whole)).toBe(true);
    free(whole.buffer as ArrayBuffer);
    expect([whole.length, part.length]).toEqual([0, 0]);
  });

  test("that others may read is not to be freed: a part of a buffer, a small one", () => {
    const whole = large();
    for (const chunk of [whole.subarray(1), whole.subarray(0, LARGE - 1), new Uint8Array(1000)]) {
      expect(isFreeable(chunk)).toBe(false);
    }
  });

  test("that its maker locked is left alone", () => {
    const { buffer } = new WebAssembly.Memory({ initial: 1 });
    free(buffer);
    expect(buffer.byteLength).toBe(65_536);
  });

  test.each([0, 1, 100, LARGE])("a copy of %i bytes stands alone", (length) => {
    const chunk = large().subarray(0, length);
    const copy = copyOf(chunk);
    expect(copy.equals(chunk)).toBe(true);
    expect(copy.buffer.byteLength).toBe(length);
  });
});
