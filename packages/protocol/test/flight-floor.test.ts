import { describe, expect, test } from "vitest";
import { FlightFloor } from "../src/flight-floor.ts";

const KiB = 1024;
const FRAME = 8 * KiB;
const STEP_MS = 5;

/** A line that takes in `rate` bytes a ms, one frame after the other, and says `pathMs` later that it has them. */
class Line {
  readonly floor = new FlightFloor();
  readonly pathMs: number;
  rate: number;
  now = 0;
  longestWaitMs = 0;
  lowest = Number.POSITIVE_INFINITY;
  #inFlight = 0;
  #freeAt = 0;
  #frames: { readonly bytes: number; readonly sentAt: number; readonly ackAt: number }[] = [];

  constructor(rate: number, pathMs: number) {
    this.rate = rate;
    this.pathMs = pathMs;
  }

  send(bytes: number): void {
    this.#inFlight += bytes;
    this.floor.sent(bytes, this.#inFlight, this.now);
    this.#freeAt = Math.max(this.#freeAt, this.now) + bytes / this.rate;
    this.#frames.push({ bytes, sentAt: this.now, ackAt: this.#freeAt + this.pathMs });
  }

  /** Time passes, with a source that always has more, or with none. */
  run(ms: number, isBulk = true): void {
    for (const end = this.now + ms; this.now < end; this.now += STEP_MS) {
      while (this.#frames[0] !== undefined && this.#frames[0].ackAt <= this.now) {
        const { bytes, sentAt } = this.#frames.shift()!;
        this.#inFlight -= bytes;
        this.longestWaitMs = Math.max(this.longestWaitMs, this.now - sentAt);
        this.floor.acked(bytes, this.pathMs, this.now);
        this.lowest = Math.min(this.lowest, this.floor.bytes);
      }
      while (isBulk && this.#inFlight < this.floor.bytes) this.send(FRAME);
    }
  }

  /** Nothing passes for so long. */
  stall(ms: number): void {
    this.#frames = this.#frames.map((frame) => ({ ...frame, ackAt: frame.ackAt + ms }));
    this.#freeAt = Math.max(this.#freeAt, this.now) + ms;
  }
}

describe("FlightFloor", () => {
  test.each([
    ["loopback", 1_000_000, 0],
    ["100 Mbit/s and 20 ms", 12_500, 20],
    ["10 Mbit/s and 100 ms", 1250, 100],
  ])("is 256 KiB after three round trips in use: %s", (_, rate, pathMs) => {
    const line = new Line(rate, pathMs);
    expect(line.floor.bytes).toBe(64 * KiB);
    line.run(3 * (pathMs + (256 * KiB) / rate + 2 * STEP_MS));
    expect(line.floor.bytes).toBe(256 * KiB);
  });

  test.each([
    ["256 kbit/s", 32, 32, 32],
    ["512 kbit/s", 64, 32, 64],
    ["1 Mbit/s", 125, 62, 125],
  ])("settles where a frame waits between half a second and one: %s", (_, rate, least, most) => {
    const line = new Line(rate, 30);
    line.run(30_000);
    expect(line.longestWaitMs).toBeLessThan(2500); // at first
    line.longestWaitMs = 0;
    line.run(60_000);
    expect(line.floor.bytes / 1000).toBeGreaterThanOrEqual(least);
    expect(line.floor.bytes / KiB).toBeLessThanOrEqual(most + 1);
    expect(line.longestWaitMs).toBeLessThan(1000 + 30 + FRAME / rate + (32 * KiB) / rate / 4);
  });

  test("follows a line that becomes slow, and one that becomes fast", () => {
    const line = new Line(10_000, 10);
    line.run(1000);
    expect(line.floor.bytes).toBe(256 * KiB);
    line.rate = 32;
    line.run(30_000);
    expect(line.floor.bytes).toBe(32 * KiB);
    line.rate = 10_000;
    line.run(3000);
    expect(line.floor.bytes).toBe(256 * KiB);
  });

  test("never below 32 KiB, however long something waits; a stall is soon forgotten", () => {
    const line = new Line(10_000, 10);
    line.run(1000);
    line.stall(20_000);
    line.run(20_300);
    expect(line.lowest).toBe(32 * KiB);
    expect(line.floor.bytes).toBe(256 * KiB);
  });

  test("small flights say nothing: neither that there is room nor that there is none", () => {
    const line = new Line(10_000, 10);
    for (let i = 0; i < 100; i += 1) {
      line.send(100);
      line.run(50, false);
    }
    expect(line.floor.bytes).toBe(64 * KiB);
    line.send(100);
    line.stall(10_000);
    line.run(11_000, false);
    expect(line.floor.bytes).toBe(64 * KiB);
  });

  test("begins again with a new transport, and takes no acknowledgement of the old one for its own", () => {
    const line = new Line(10_000, 10);
    line.run(1000);
    line.floor.restart();
    expect(line.floor.bytes).toBe(64 * KiB);
    line.floor.sent(60 * KiB, 60 * KiB, 2000);
    line.floor.acked(59 * KiB, 0, 2001);
    expect(line.floor.bytes).toBe(64 * KiB);
    line.floor.acked(1 * KiB, 0, 2002);
    expect(line.floor.bytes).toBe(128 * KiB);
  });
});
