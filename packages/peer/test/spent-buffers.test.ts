import { describe, expect, test } from "vitest";
import { free, isFreeable, SpentBuffers } from "../src/spent-buffers.ts";

/** Not in the types of Node. */
declare const WebAssembly: { Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer } };

const LARGE = 20_000;

function large(): Uint8Array {
  return new Uint8Array(LARGE).fill(7);
}

describe("spent buffers", () => {
  test("a buffer is empty as soon as everything before its end was read, and not before", () => {
    const spent = new SpentBuffers();
    const [first, second] = [large(), large()];
    spent.add(first, LARGE);
    spent.add(second, 2 * LARGE);
    spent.freeThrough(LARGE - 1);
    expect([first.length, second.length]).toEqual([LARGE, LARGE]);
    spent.freeThrough(LARGE);
    expect([first.length, second.length]).toEqual([0, LARGE]);
    spent.freeThrough(2 * LARGE - 1);
    expect(second.length).toBe(LARGE);
    spent.freeThrough(2 * LARGE);
    expect(second.length).toBe(0);
  });

  test("hundreds in a row are freed each in its turn", () => {
    const spent = new SpentBuffers();
    const chunks = Array.from({ length: 300 }, large);
    for (const [index, chunk] of chunks.entries()) spent.add(chunk, (index + 1) * LARGE);
    for (let at = 0; at < chunks.length; at += 7) {
      spent.freeThrough(at * LARGE);
      expect(chunks.findIndex(({ length }) => length > 0)).toBe(at);
    }
  });

  test("what was cleared is left alone", () => {
    const spent = new SpentBuffers();
    const chunk = large();
    spent.add(chunk, LARGE);
    spent.clear();
    spent.freeThrough(LARGE);
    expect(chunk.length).toBe(LARGE);
  });

  test("memory that others may read is left alone: a part of a buffer, a small one", () => {
    const whole = large();
    const spent = new SpentBuffers();
    const small = new Uint8Array(1000);
    for (const chunk of [whole.subarray(1), whole.subarray(0, LARGE - 1), small]) {
      expect(isFreeable(chunk)).toBe(false);
      spent.add(chunk, 0);
    }
    spent.freeThrough(LARGE);
    expect([whole.length, small.length]).toEqual([LARGE, 1000]);
  });

  test("memory that its maker locked is left alone", () => {
    const { buffer } = new WebAssembly.Memory({ initial: 1 });
    free(buffer);
    expect(buffer.byteLength).toBe(65_536);
  });
});
