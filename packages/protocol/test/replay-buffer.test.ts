import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FRAME_OVERHEAD_BYTES, ReplayBuffer, replayCost } from "../src/replay-buffer.ts";
import { holds } from "./support/property.ts";

const frame = (n: number, length = 4) => new Uint8Array(length).fill(n);

describe("ReplayBuffer", () => {
  test("is empty before the first frame", () => {
    const buffer = new ReplayBuffer();
    expect(buffer).toMatchObject({ last: 0, acked: 0, cost: 0 });
    expect(() => buffer.frameAt(0)).toThrow(RangeError);
    expect(() => buffer.frameAt(1)).toThrow(RangeError);
  });

  test("numbers from 1 and gives back the very same bytes", () => {
    const buffer = new ReplayBuffer();
    const frames = [frame(1), frame(2), frame(3)];
    expect(frames.map((f) => buffer.push(f))).toEqual([1, 2, 3]);
    for (const [i, f] of frames.entries()) expect(buffer.frameAt(i + 1)).toBe(f);
    expect(buffer).toMatchObject({ last: 3, acked: 0, cost: 3 * (4 + FRAME_OVERHEAD_BYTES) });
  });

  test("an ack frees all up to its number, and says how much", () => {
    const buffer = new ReplayBuffer();
    for (const length of [10, 20, 30]) buffer.push(frame(0, length));
    expect(buffer.ackThrough(2)).toBe(30);
    expect(buffer).toMatchObject({ last: 3, acked: 2, cost: replayCost(30) });
    expect(buffer.frameAt(3)).toHaveLength(30);
    expect(() => buffer.frameAt(4)).toThrow(RangeError);
  });

  test("a frame that stands in a larger block of memory costs that block, and an ack gives all of it back", () => {
    const buffer = new ReplayBuffer();
    buffer.push(new Uint8Array(1000).subarray(0, 600));
    expect(buffer.cost).toBe(1000 + FRAME_OVERHEAD_BYTES);
    expect(buffer.ackThrough(1)).toBe(600);
    expect(buffer.cost).toBe(0);
  });

  test("an ack again, or an older one, frees nothing", () => {
    const buffer = new ReplayBuffer();
    buffer.push(frame(1));
    buffer.push(frame(2));
    buffer.ackThrough(1);
    expect(buffer.ackThrough(1)).toBe(0);
    expect(buffer.ackThrough(0)).toBe(0);
    expect(buffer).toMatchObject({ last: 2, acked: 1 });
  });

  test("tells of each frame once, when it is no longer needed", () => {
    const released: Uint8Array[] = [];
    const buffer = new ReplayBuffer((f) => released.push(f));
    const frames = [1, 2, 3, 4].map((n) => frame(n));
    for (const f of frames) buffer.push(f);
    buffer.ackThrough(0);
    expect(released).toEqual([]);
    buffer.ackThrough(2);
    buffer.ackThrough(2);
    expect(released).toEqual(frames.slice(0, 2));
    buffer.ackThrough(9);
    expect(released).toEqual(frames);
    expect(released.every((f, i) => f === frames[i])).toBe(true);
  });

  test("numbers go on when everything is acknowledged, or thrown away", () => {
    const buffer = new ReplayBuffer();
    for (let i = 0; i < 5; i += 1) buffer.push(frame(i));
    buffer.ackThrough(5);
    expect(buffer).toMatchObject({ last: 5, acked: 5, cost: 0 });
    expect(buffer.push(frame(6))).toBe(6);
    buffer.clear();
    expect(buffer).toMatchObject({ last: 6, acked: 6, cost: 0 });
    expect(buffer.push(frame(7))).toBe(7);
  });

  test("behaves as a plain list of numbered frames does, through thousands of acks", () => {
    holds(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 900 }), fc.nat({ max: 1000 })), { minLength: 1, maxLength: 10 }),
        (rounds) => {
          const buffer = new ReplayBuffer();
          const kept = new Map<number, Uint8Array>();
          let last = 0;
          let acked = 0;
          for (const [pushes, ackPermille] of rounds) {
            for (let i = 0; i < pushes; i += 1) {
              last += 1;
              const f = frame(last % 256, last % 7);
              kept.set(last, f);
              if (buffer.push(f) !== last) expect.unreachable(`not numbered ${last}`);
            }
            const ack = Math.max(acked, acked + Math.floor(((last - acked) * ackPermille) / 1000));
            let freed = 0;
            for (; acked < ack; ) {
              acked += 1;
              freed += kept.get(acked)?.length ?? 0;
              kept.delete(acked);
            }
            expect(buffer.ackThrough(ack)).toBe(freed);
            expect(buffer).toMatchObject({ last, acked });
            for (const [n, f] of kept) if (n % 97 === 0 || n === acked + 1) expect(buffer.frameAt(n)).toBe(f);
          }
          const cost = [...kept.values()].reduce((sum, f) => sum + replayCost(f.length), 0);
          expect(buffer.cost).toBe(cost);
        },
      ),
      60,
    );
  });
});
