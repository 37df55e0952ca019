import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DATA_HEADER_BYTES } from "../src/frame.ts";
import type { FrameMemory } from "../src/frame-memory.ts";
import { SendQueue } from "../src/send-queue.ts";
import { concat, pattern } from "./support/hex.ts";
import { holds } from "./support/property.ts";

/** Knows what the queue holds, and spoils what nobody may read any more. */
class WatchedMemory implements FrameMemory {
  /** Allocated, and neither released nor handed out. */
  readonly held = new Set<ArrayBufferLike>();
  allocations = 0;

  allocate(length: number): Uint8Array {
    const memory = new Uint8Array(length).fill(0xaa);
    this.held.add(memory.buffer);
    this.allocations += 1;
    return memory;
  }

  release(frame: Uint8Array): void {
    this.handOut(frame);
    new Uint8Array(frame.buffer).fill(0xee);
  }

  /** It is the session's from now on. */
  handOut(frame: Uint8Array): void {
    expect(this.held.delete(frame.buffer)).toBe(true);
  }
}

interface Setup {
  readonly memory: WatchedMemory;
  readonly queue: SendQueue;
  /** Takes a frame out, writes its header, and returns it. */
  take(length: number): Uint8Array;
}

function setUp(maxPayloadBytes = 32_768): Setup {
  const memory = new WatchedMemory();
  const queue = new SendQueue({ maxPayloadBytes, memory });
  const take = (length: number): Uint8Array => {
    const frame = queue.take(length);
    memory.handOut(frame);
    expect(frame.length).toBe(DATA_HEADER_BYTES + length);
    return frame.fill(0xdd, 0, DATA_HEADER_BYTES);
  };
  return { memory, queue, take };
}

function payload(frame: Uint8Array): Uint8Array {
  return frame.subarray(DATA_HEADER_BYTES);
}

describe("SendQueue", () => {
  test("behaves as one array of bytes does, and accounts for all memory", () => {
    const size = fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 3000 }), fc.nat({ max: 30_000 }));
    const op = fc.constantFrom("push", "push", "push", "push", "takeFull", "takeFull", "take", "clear");
    const step = fc.record({ op, size });
    const most = fc.constantFrom(1, 100, 1024, 5000, 10_000, 32_768);
    holds(
      fc.property(most, fc.array(step, { maxLength: 60, size: "max" }), (maxPayloadBytes, steps) => {
        const { memory, queue, take } = setUp(maxPayloadBytes);
        const scratch = new Uint8Array(30_000);
        const frames: [frame: Uint8Array, copy: Buffer][] = [];
        let model = Buffer.alloc(0);
        let written = 0;
        for (const { op, size: asked } of steps) {
          // One byte a frame is slow to check, and 300 of them tell as much.
          const length = maxPayloadBytes === 1 ? asked % 300 : asked;
          if (op === "push") {
            const chunk = scratch.subarray(0, length);
            chunk.set(pattern(length, written));
            written += length;
            model = Buffer.concat([model, chunk]);
            queue.push(chunk);
            chunk.fill(0xff); // the writer uses its memory again at once
          } else if (op === "clear") {
            queue.clear();
            model = Buffer.alloc(0);
          } else {
            const next = Math.min(op === "takeFull" ? maxPayloadBytes : length, model.length);
            if (next === 0) continue;
            const frame = take(next);
            expect(model.subarray(0, next).equals(payload(frame))).toBe(true);
            frames.push([frame, Buffer.from(frame)]);
            model = model.subarray(next);
          }
          expect(queue.bytes).toBe(model.length);
          const held = [...memory.held].reduce((sum, { byteLength }) => sum + byteLength, 0);
          expect(queue.retainedBytes).toBe(held);
          if (model.length === 0) expect(held).toBe(0);
        }
        for (const [frame, copy] of frames) expect(copy.equals(frame)).toBe(true);
        queue.clear();
        expect(memory.held.size).toBe(0);
      }),
      300,
    );
  });

  test("a frame that leaves as it was filled is not copied", () => {
    const { memory, queue, take } = setUp();
    for (const length of [1, 20, 5000, 32_768]) {
      queue.push(pattern(length));
      const [place] = memory.held;
      const frame = take(Math.min(queue.bytes, 32_768));
      expect(frame.buffer).toBe(place);
      expect(frame.length).toBe(place?.byteLength);
      expect(payload(frame)).toEqual(pattern(length));
    }
    expect(memory.allocations).toBe(4);
  });

  test("nor is a large one that fills most of its memory; a smaller one does not keep it", () => {
    for (const [most, length, allocations] of [
      [10_000, 6000, 2],
      [10_000, 4500, 3],
      [5000, 3500, 3],
    ] as const) {
      const { memory, queue, take } = setUp(most);
      queue.push(pattern(most + length));
      take(most);
      const frame = take(length);
      expect(payload(frame)).toEqual(pattern(length, most));
      expect(memory.allocations).toBe(allocations);
      if (allocations === 3) expect(frame.buffer.byteLength).toBe(frame.length);
    }
  });

  test("what is left of a large draft leaves in its memory, and its header harms no frame before it", () => {
    const { memory, queue, take } = setUp();
    queue.push(pattern(30_000));
    const [place] = memory.held;
    const first = take(5);
    const second = take(3000);
    const rest = take(26_995);
    expect(rest.buffer).toBe(place);
    expect(concat([first, second, rest].map(payload))).toEqual(pattern(30_000));
  });

  test("a million writes of one byte make few frames", () => {
    const { memory, queue, take } = setUp();
    const one = new Uint8Array(1);
    for (let i = 0; i < 1_000_000; i += 1) {
      one[0] = i % 251;
      queue.push(one);
    }
    expect(memory.allocations).toBeLessThanOrEqual(45);
    expect(queue.retainedBytes).toBeLessThanOrEqual(1_000_000 + 2 * 32_768);
    const frames: Uint8Array[] = [];
    while (queue.bytes > 0) frames.push(payload(take(Math.min(queue.bytes, 32_768))));
    expect(frames.length).toBeLessThanOrEqual(45);
    expect(Buffer.compare(concat(frames), pattern(1_000_000))).toBe(0);
  });

  test("a few bytes cost no large memory, every time", () => {
    const { memory, queue, take } = setUp();
    for (let round = 0; round < 100; round += 1) {
      queue.push(pattern(5));
      expect(queue.retainedBytes).toBe(DATA_HEADER_BYTES + 5);
      queue.push(pattern(5));
      expect(queue.retainedBytes).toBeLessThanOrEqual(1100);
      expect(take(10).buffer.byteLength).toBe(DATA_HEADER_BYTES + 10);
    }
    expect(memory.held.size).toBe(0);
  });

  test.each([1, 3, 700, 1025, 9000, 40_000])("writes of %i bytes keep at most twice what waits", (size) => {
    const { queue, take } = setUp();
    for (let round = 0; round < 100; round += 1) {
      queue.push(pattern(size));
      expect(queue.retainedBytes).toBeLessThanOrEqual(2.1 * queue.bytes + 1100);
    }
    while (queue.bytes > 0) {
      take(Math.min(queue.bytes, 1 + (queue.bytes % 20_000)));
      expect(queue.retainedBytes).toBeLessThanOrEqual(1.1 * queue.bytes + 2 * 32_800);
    }
  });

  test("the rest of a draft that was cut goes alone where large frames may leave, so that the next is not cut", () => {
    const { queue, take } = setUp(1000);
    expect(queue.nextPayload(1000)).toBe(0);
    queue.push(pattern(2500));
    expect([0, 1, 700, 1000].map((most) => queue.nextPayload(most))).toEqual([0, 1, 700, 1000]);
    take(700);
    // Where only small ones may leave a short frame more would cost more than a copy.
    expect([299, 300, 301, 999, 1000].map((most) => queue.nextPayload(most))).toEqual([
      299, 300, 301, 999, 300,
    ]);
    take(300);
    const frame = take(queue.nextPayload(1000));
    expect([frame.byteOffset, frame.length]).toEqual([0, frame.buffer.byteLength]);
    expect(queue.nextPayload(1000)).toBe(500);
  });

  test("queues share nothing, also after they were emptied", () => {
    const { queue, take } = setUp();
    const other = setUp();
    for (const round of [1, 2, 3]) {
      queue.push(pattern(10, round));
      other.queue.push(pattern(20, round));
      if (round === 2) queue.clear();
      else expect(payload(take(10))).toEqual(pattern(10, round));
      expect(payload(other.take(20))).toEqual(pattern(20, round));
    }
    expect([queue.bytes, other.queue.bytes, other.queue.retainedBytes]).toEqual([0, 0, 0]);
  });
});
