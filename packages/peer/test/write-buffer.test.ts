import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WriteBuffer } from "../src/write-buffer.ts";

function takeAll(buffer: WriteBuffer): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (let block = buffer.take(); block !== undefined; block = buffer.take()) blocks.push(block);
  return blocks;
}

describe("write buffer", () => {
  test("gives back what it got, in order, however it is cut and whenever it is taken", () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: 0, max: 100 }) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 200_000 }) },
      { weight: 1, arbitrary: fc.constant(-1) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, asViews) => {
        const buffer = new WriteBuffer();
        const given: Uint8Array[] = [];
        const taken: Uint8Array[] = [];
        let next = 0;
        for (const length of steps) {
          if (length === -1) taken.push(...[buffer.take()].filter((block) => block !== undefined));
          else {
            const owner = asViews ? new Uint8Array(length * 3 + 1) : new Uint8Array(length);
            const chunk = owner.subarray(asViews ? length : 0).subarray(0, length);
            for (let at = 0; at < length; at += 1) chunk[at] = next++;
            given.push(chunk);
            buffer.push(chunk);
          }
          const bytes = sum(given) - sum(taken);
          expect(buffer.bytes).toBe(bytes);
          expect(buffer.retainedBytes).toBeLessThanOrEqual(bytes * 2 + 65_536);
        }
        taken.push(...takeAll(buffer));
        expect(Buffer.compare(Buffer.concat(taken), Buffer.concat(given))).toBe(0);
        expect([buffer.bytes, buffer.blocks, buffer.take()]).toEqual([0, 0, undefined]);
      }),
    );
  });

  test("200,000 views of one byte, each of 64 KiB of its own, are a few blocks and pin nothing", () => {
    const buffer = new WriteBuffer();
    for (let count = 0; count < 200_000; count += 1) {
      // One large buffer after the other is let go of; holding on to them all would be 13 GB.
      buffer.push(new Uint8Array(count % 1000 === 0 ? 65_536 : 8).subarray(0, 1));
    }
    expect(buffer.bytes).toBe(200_000);
    expect(buffer.blocks).toBeLessThan(16);
    expect(buffer.retainedBytes).toBeLessThan(300_000);
  });

  test("holds on to nothing that was taken, also if it is never empty", () => {
    const buffer = new WriteBuffer();
    const chunk = new Uint8Array(8192);
    for (let n = 0; n < 64; n += 1) buffer.push(chunk);
    for (let taken = 0; taken < 64_000_000; taken += chunk.length) {
      if (buffer.bytes < 512 * 1024) buffer.push(chunk);
      else buffer.take();
      expect(buffer.bytes).toBeGreaterThan(0);
    }
    expect(buffer.retainedBytes).toBeLessThan(2 * 512 * 1024 + 65_536);
  });

  test("a large chunk is kept as it is, also when it is most of its buffer", () => {
    const buffer = new WriteBuffer();
    const whole = new Uint8Array(65_536);
    const half = new Uint8Array(65_536).subarray(32_768);
    buffer.push(whole);
    buffer.push(half);
    expect(takeAll(buffer)).toEqual([whole, half]);
    buffer.push(whole);
    expect(buffer.take()).toBe(whole);
  });

  test("a few bytes do not come out in a block of many", () => {
    const buffer = new WriteBuffer();
    buffer.push(Uint8Array.of(1, 2, 3));
    const block = buffer.take()!;
    expect([...block]).toEqual([1, 2, 3]);
    expect(block.buffer.byteLength).toBe(3);
  });

  test("a block that was taken is not written to any more", () => {
    const buffer = new WriteBuffer();
    buffer.push(new Uint8Array(1000).fill(1));
    const block = buffer.take()!;
    buffer.push(new Uint8Array(1000).fill(2));
    expect(block).toEqual(Buffer.alloc(1000, 1));
    expect(buffer.take()).toEqual(Buffer.alloc(1000, 2));
  });

  test("clear empties", () => {
    const buffer = new WriteBuffer();
    buffer.push(new Uint8Array(100));
    buffer.push(new Uint8Array(65_536));
    buffer.clear();
    expect([buffer.bytes, buffer.blocks, buffer.retainedBytes, buffer.take()]).toEqual([0, 0, 0, undefined]);
  });

  test("says what it kept; what it copied may be used again", () => {
    const buffer = new WriteBuffer();
    const small = new Uint8Array(100).fill(1);
    const view = new Uint8Array(100_000).subarray(0, 20_000).fill(2);
    const large = new Uint8Array(20_000).fill(3);
    expect([small, view, large, new Uint8Array(0)].map((chunk) => buffer.push(chunk))).toEqual([
      false,
      false,
      true,
      false,
    ]);
    small.fill(9);
    view.fill(9);
    const all = Buffer.concat(takeAll(buffer));
    expect([all.length, all[0], all[100], all.at(-1)]).toEqual([40_100, 1, 2, 3]);
  });
});

function sum(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((bytes, { length }) => bytes + length, 0);
}
