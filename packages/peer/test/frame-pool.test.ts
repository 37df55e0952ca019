import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FramePool } from "../src/frame-pool.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** As many frames at once as a busy link has, all acknowledged. */
function burst(pool: FramePool, count: number): Uint8Array[] {
  const frames = Array.from({ length: count }, () => pool.allocate(1000));
  for (const frame of frames) pool.release(frame);
  return frames;
}

/** How many of the blocks of these frames the pool still has. */
function kept(pool: FramePool, frames: readonly Uint8Array[]): number {
  const known = new Set(frames.map(({ buffer }) => buffer));
  return frames.filter(() => known.has(pool.allocate(1000).buffer)).length;
}

describe("FramePool", () => {
  test("uses the memory of a frame again, whatever part of it the frame was", () => {
    const pool = new FramePool(1000, 4);
    const [first] = burst(pool, 1);
    const next = pool.allocate(700);
    expect(next.buffer).toBe(first?.buffer);
    pool.release(next);
    expect(pool.allocate(1000).buffer).toBe(first?.buffer);
  });

  test("the smallest frames stand side by side, and not on each other", () => {
    const pool = new FramePool(1000, 4);
    const frames = Array.from({ length: 200 }, (_, n) => pool.allocate(1 + (n % 127)).fill(n));
    for (const [n, frame] of frames.entries()) expect([...frame]).toEqual(Array(1 + (n % 127)).fill(n));
    const bytes = frames.reduce((sum, { length }) => sum + length, 0);
    const slabs = new Set(frames.map(({ buffer }) => buffer));
    expect([...slabs].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThan(bytes * 1.2);
    expect(slabs.size).toBeLessThan(10);
    for (const frame of frames) pool.release(frame);
    expect(kept(pool, frames)).toBe(0);
  });

  test("a slab that nothing was added to for a while is let go when its frames are gone, and needs no timer", () => {
    const pool = new FramePool(1000, 4);
    const frames = [pool.allocate(20)];
    vi.advanceTimersByTime(2000);
    frames.push(pool.allocate(20));
    vi.advanceTimersByTime(60_000);
    // The frames keep it alive: who sends one now and then, and gets no answer, must not pin a slab with each.
    expect(vi.getTimerCount()).toBe(0);
    frames.push(pool.allocate(20));
    expect(new Set(frames.map(({ buffer }) => buffer)).size).toBe(1);
    for (const frame of frames) pool.release(frame);
    vi.advanceTimersByTime(4000);
    expect(vi.getTimerCount()).toBe(0);
    expect(pool.allocate(20).buffer).not.toBe(frames[0]?.buffer);
  });

  test("small frames and those from elsewhere have memory of their own", () => {
    const pool = new FramePool(1000, 4);
    expect(pool.allocate(128).buffer.byteLength).toBe(128);
    expect(pool.allocate(500).buffer.byteLength).toBe(500);
    expect(pool.allocate(1001).buffer.byteLength).toBe(1001);
    pool.release(new Uint8Array(2000).subarray(0, 1000));
    expect(vi.getTimerCount()).toBe(0);
  });

  test("keeps no more than it may", () => {
    const pool = new FramePool(1000, 4);
    expect(kept(pool, burst(pool, 6))).toBe(4);
  });

  test("lets go what was not needed for a while, and then needs no timer", () => {
    const pool = new FramePool(1000, 32);
    const frames = burst(pool, 8);
    vi.advanceTimersByTime(4000);
    expect(vi.getTimerCount()).toBe(0);
    expect(kept(pool, frames)).toBe(0);
  });

  test("keeps what a busy link goes on to need", () => {
    const pool = new FramePool(1000, 32);
    const frames = burst(pool, 8);
    for (let tick = 0; tick < 10; tick += 1) {
      vi.advanceTimersByTime(1900);
      burst(pool, 3);
    }
    expect(kept(pool, frames)).toBe(3);
  });
});
