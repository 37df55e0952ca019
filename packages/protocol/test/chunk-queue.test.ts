import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ChunkQueue } from "../src/chunk-queue.ts";
import { concat, pattern } from "./support/hex.ts";
import { holds } from "./support/property.ts";

function takeAll(queue: ChunkQueue): Uint8Array {
  return concat(queue.takeAll());
}

describe("ChunkQueue", () => {
  test("gives back what was put in, in order, across chunks of every size", () => {
    const queue = new ChunkQueue();
    const chunks = [1, 2047, 2048, 2049, 1, 1, 70_000, 3, 16_384, 5].map((length, i) =>
      pattern(length, i * 31),
    );
    for (const chunk of chunks) queue.push(chunk);
    const all = concat(chunks);
    expect(queue.bytes).toBe(all.length);
    expect(takeAll(queue)).toEqual(all);
    expect(queue.bytes).toBe(0);
  });

  test("an empty chunk is nothing", () => {
    const queue = new ChunkQueue();
    queue.push(new Uint8Array(0));
    expect(queue.bytes).toBe(0);
    expect(queue.takeAll()).toEqual([]);
  });

  test("a large chunk is kept as it is, a small one is copied", () => {
    const queue = new ChunkQueue();
    const large = pattern(2048);
    const small = pattern(2047);
    queue.push(large);
    queue.push(small);
    const [first, second] = queue.takeAll();
    expect(first).toBe(large);
    expect(second?.buffer).not.toBe(small.buffer);
  });

  test("a hundred thousand writes of one byte make a few blocks", () => {
    const queue = new ChunkQueue();
    for (let i = 0; i < 100_000; i += 1) queue.push(Uint8Array.of(i % 251));
    const chunks = queue.takeAll();
    expect(chunks.length).toBeLessThanOrEqual(12);
    const pinned = chunks.reduce((sum, chunk) => sum + chunk.buffer.byteLength, 0);
    expect(pinned).toBeLessThanOrEqual(100_000 + 2 * 16_384);
    expect(concat(chunks)).toEqual(pattern(100_000));
  });

  test.each<[what: string, sizes: number[]]>([
    ["a small one behind each large one", [2048, 1]],
    ["a small one behind each larger one", [16_384, 1]],
    ["one that does not fill a block", [16_384, 513]],
    ["one that nearly fills a block", [16_384, 1023, 2]],
    ["growing ones", [1, 2000, 1, 4000, 1, 8000, 1, 16_384]],
  ])("what it keeps is about what it counts: %s", (_what, sizes) => {
    for (const [view, most] of [
      [0, 2],
      [16_383, 3],
    ] as const) {
      const queue = new ChunkQueue();
      for (let round = 0; round < 100; round += 1) {
        // As a socket delivers it: in a buffer of its own; or as a message stands in what was read.
        for (const size of sizes) queue.push(new Uint8Array(size + view).subarray(0, size));
        expect(queue.retainedBytes).toBeLessThanOrEqual(most * queue.bytes + 1024);
      }
    }
  });

  test("one byte out of a large buffer does not keep that buffer", () => {
    const queue = new ChunkQueue();
    queue.push(new Uint8Array(65_536).subarray(5, 6));
    const [chunk] = queue.takeAll();
    expect(chunk?.buffer.byteLength).toBe(1);
  });

  test("a small chunk in an empty queue costs its own size, every time", () => {
    const queue = new ChunkQueue();
    for (let i = 0; i < 3; i += 1) {
      queue.push(Uint8Array.of(i));
      queue.push(Uint8Array.of(i, i));
      expect(takeAll(queue)).toEqual(Uint8Array.of(i, i, i));
      queue.push(pattern(5));
      const [alone] = queue.takeAll();
      expect(alone?.buffer.byteLength).toBe(5);
    }
    queue.push(pattern(9));
    expect(queue.takeAll()[0]?.buffer.byteLength).toBe(9);
  });

  test("chunks that were handed out are never changed afterwards", () => {
    const queue = new ChunkQueue();
    for (let i = 0; i < 100; i += 1) queue.push(pattern(7, i));
    const handedOut = queue.takeAll();
    const copies = handedOut.map((chunk) => [...chunk]);
    for (let i = 0; i < 5000; i += 1) queue.push(Uint8Array.of(0xff, 0xff, 0xff));
    expect(handedOut.map((chunk) => [...chunk])).toEqual(copies);
  });

  test("what was pushed large is read only, never written", () => {
    const queue = new ChunkQueue();
    const large = pattern(4000);
    queue.push(large);
    for (let i = 0; i < 100; i += 1) queue.push(Uint8Array.of(0xff));
    expect(large).toEqual(pattern(4000));
  });

  test("clear forgets everything and goes on", () => {
    const queue = new ChunkQueue();
    for (let i = 0; i < 10; i += 1) queue.push(pattern(100));
    queue.clear();
    expect(queue.bytes).toBe(0);
    queue.push(pattern(3, 9));
    expect(takeAll(queue)).toEqual(pattern(3, 9));
  });

  test("behaves as one array of bytes does", () => {
    const size = fc.oneof(
      fc.nat({ max: 3 }),
      fc.nat({ max: 3000 }),
      fc.constantFrom(2047, 2048, 16_384, 20_000),
    );
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ op: fc.constant("push" as const), size }) },
      { weight: 1, arbitrary: fc.record({ op: fc.constant("takeAll" as const), size }) },
      { weight: 1, arbitrary: fc.record({ op: fc.constant("clear" as const), size }) },
    );
    holds(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const queue = new ChunkQueue();
        let model = Buffer.alloc(0);
        let written = 0;
        const handedOut: [chunk: Uint8Array, copy: Buffer][] = [];
        for (const { op, size: length } of steps) {
          if (op === "push") {
            const chunk = pattern(length, written);
            written += length;
            queue.push(chunk);
            model = Buffer.concat([model, chunk]);
          } else if (op === "takeAll") {
            const chunks = queue.takeAll();
            expect(Buffer.concat(chunks).equals(model)).toBe(true);
            for (const chunk of chunks) handedOut.push([chunk, Buffer.from(chunk)]);
            model = Buffer.alloc(0);
          } else {
            queue.clear();
            model = Buffer.alloc(0);
          }
          expect(queue.bytes).toBe(model.length);
        }
        for (const [chunk, copy] of handedOut) expect(copy.equals(chunk)).toBe(true);
        expect(Buffer.concat(queue.takeAll()).equals(model)).toBe(true);
      }),
      400,
    );
  });
});
