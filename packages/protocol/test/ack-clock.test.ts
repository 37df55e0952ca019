import { describe, expect, test } from "vitest";
import { AckClock } from "../src/ack-clock.ts";

const MiB = 1024 * 1024;

describe("AckClock", () => {
  test("owes nothing before the first frame", () => {
    const clock = new AckClock(16 * MiB);
    expect(clock.isDue(1e9)).toBe(false);
    expect(clock.dueAt).toBe(Number.POSITIVE_INFINITY);
  });

  test("is due 25 ms after the first frame, however many follow", () => {
    const clock = new AckClock(16 * MiB);
    clock.processed(200, 1000);
    clock.processed(200, 1010);
    clock.processed(200, 1024);
    expect(clock.dueAt).toBe(1025);
    expect(clock.isDue(1024.9)).toBe(false);
    expect(clock.isDue(1025)).toBe(true);
  });

  test("is due at once after 64 KiB", () => {
    const clock = new AckClock(16 * MiB);
    clock.processed(65_535, 0);
    expect(clock.isDue(0)).toBe(false);
    clock.processed(1, 3);
    expect(clock.isDue(3)).toBe(true);
    expect(clock.dueAt).toBe(3);
  });

  test("is due at once after 128 frames", () => {
    const clock = new AckClock(16 * MiB);
    for (let i = 0; i < 127; i += 1) clock.processed(161, 5);
    expect(clock.isDue(5)).toBe(false);
    clock.processed(161, 5);
    expect(clock.isDue(5)).toBe(true);
  });

  test.each([
    [512 * 1024, 65_536],
    [80_000, 10_000],
    [1024, 128],
    [15, 1],
    [1, 1],
  ])("a peer with a replay limit of %i bytes hears after %i", (limit, due) => {
    const clock = new AckClock(limit);
    clock.processed(due, 0);
    expect(clock.isDue(0)).toBe(true);
    if (due === 1) return;
    const early = new AckClock(limit);
    early.processed(due - 1, 0);
    expect(early.isDue(0)).toBe(false);
  });

  test("starts anew when an ack was sent", () => {
    const clock = new AckClock(16 * MiB);
    clock.processed(60_000, 0);
    clock.sent();
    expect(clock.isDue(1e9)).toBe(false);
    expect(clock.dueAt).toBe(Number.POSITIVE_INFINITY);
    clock.processed(60_000, 100);
    expect(clock.isDue(100)).toBe(false);
    expect(clock.dueAt).toBe(125);
  });

  test("frames behind a due ack do not put it off", () => {
    const clock = new AckClock(16 * MiB);
    clock.processed(65_536, 10);
    clock.processed(1, 20);
    expect(clock.isDue(20)).toBe(true);
    clock.processed(65_536, 30);
    expect(clock.isDue(30)).toBe(true);
  });
});
