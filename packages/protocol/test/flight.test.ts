import { describe, expect, test } from "vitest";
import { Flight } from "../src/flight.ts";

const KiB = 1024;
/** The floor on a path of which nothing is known. */
const START = 64 * KiB;
const CEILING = 16 * 1024 * KiB;

/** Sends and acknowledges `bytesPerMs` steadily for `ms`, one ack every `step` ms. */
function run(flight: Flight, bytesPerMs: number, ms: number, from = 0, step = 10): number {
  let now = from;
  flight.sent(bytesPerMs * step, now);
  for (; now < from + ms; ) {
    now += step;
    flight.sent(bytesPerMs * step, now);
    flight.acked(bytesPerMs * step, now);
  }
  flight.acked(bytesPerMs * step, now);
  return now;
}

describe("Flight", () => {
  test("has room below its limit, which starts at the floor", () => {
    const flight = new Flight(CEILING);
    expect(flight.limit).toBe(START);
    flight.sent(START - 1, 0);
    expect(flight.hasRoom).toBe(true);
    flight.sent(1, 0);
    expect(flight.hasRoom).toBe(false);
    flight.acked(1, 1);
    expect(flight.hasRoom).toBe(true);
    expect(flight.bytes).toBe(START - 1);
  });

  test("a single frame may pass the limit, as long as there was room before it", () => {
    const flight = new Flight(1000);
    flight.sent(999, 0);
    expect(flight.hasRoom).toBe(true);
    flight.sent(65_000, 0);
    expect(flight.hasRoom).toBe(false);
  });

  test("the floor gives way to a smaller ceiling", () => {
    expect(new Flight(1024).limit).toBe(1024);
  });

  test("becomes twice rate times minimum round trip", () => {
    const flight = new Flight(CEILING);
    flight.measuredRtt(100);
    run(flight, 10_000, 1000);
    expect(flight.pathBytes).toBeCloseTo(10_000 * 100);
    expect(flight.limit).toBeCloseTo(2 * 10_000 * 100);
  });

  test("becomes four times that while the rate rises, and twice as soon as it does not", () => {
    const flight = new Flight(CEILING);
    flight.measuredRtt(100);
    let now = run(flight, 1000, 100);
    expect(flight.limit).toBeCloseTo(4 * flight.pathBytes, -4);
    now = run(flight, 2000, 100, now);
    now = run(flight, 4000, 100, now);
    expect(flight.limit).toBeGreaterThan(3 * flight.pathBytes);
    run(flight, 4000, 300, now);
    expect(flight.limit).toBeCloseTo(2 * flight.pathBytes);
  });

  test("never below the floor, never above the ceiling", () => {
    const slow = new Flight(CEILING);
    slow.measuredRtt(10);
    run(slow, 10, 1000);
    expect(slow.limit).toBe(START);
    const fast = new Flight(CEILING);
    fast.measuredRtt(1000);
    run(fast, 1_000_000, 5000);
    expect(fast.limit).toBe(CEILING);
  });

  test("counts a path shorter than 0.5 ms as 0.5 ms", () => {
    const flight = new Flight(CEILING);
    flight.measuredRtt(0.05);
    run(flight, 100_000, 200);
    expect(flight.pathBytes).toBeCloseTo(50_000);
  });

  test("on a short path acknowledgements tell its length when the pings met a busy loop", () => {
    const flight = new Flight(CEILING);
    flight.measuredRtt(8);
    let now = 0;
    for (let round = 0; round < 100; round += 1) {
      flight.sent(200_000, now);
      now += 2;
      flight.acked(200_000, now);
    }
    expect(flight.pathBytes).toBeCloseTo(100_000 * 2);
    for (let round = 0; round < 5000; round += 1) {
      flight.sent(200_000, now);
      now += 6;
      flight.acked(200_000, now);
    }
    // One that is alone says nothing of what they take under load.
    flight.sent(1000, now);
    flight.acked(1000, now + 1);
    // It became longer, and the ones of 2 ms are forgotten.
    expect(flight.pathBytes).toBeCloseTo((200_000 / 6) * 6);
  });

  test("follows the smallest round trip, not the last", () => {
    const flight = new Flight(CEILING);
    for (const rtt of [80, 20, 400]) flight.measuredRtt(rtt);
    expect(flight.minRttMs).toBe(20);
    expect(flight.lastRttMs).toBe(400);
    run(flight, 1000, 200);
    expect(flight.pathBytes).toBeCloseTo(20_000);
  });

  test("the largest of the last ten rates counts: one pause shrinks nothing, a slower path does", () => {
    const flight = new Flight(CEILING);
    flight.measuredRtt(50);
    let now = run(flight, 10_000, 500);
    const before = flight.limit;
    now = run(flight, 4_000, 300, now + 10_000);
    expect(flight.limit).toBe(before);
    run(flight, 4_000, 2_000, now);
    expect(flight.limit).toBeCloseTo(2 * 4_000 * 50);
  });

  test("the time without anything in flight does not count as a slow path", () => {
    const flight = new Flight(CEILING);
    flight.measuredRtt(50);
    flight.sent(1000, 0);
    flight.acked(1000, 1); // too short for a sample
    flight.sent(100_000, 60_000);
    flight.acked(100_000, 60_050);
    expect(flight.pathBytes).toBeCloseTo(100_000);
  });

  test("on a fast path each ack may empty the flight: the short gaps belong to the sample", () => {
    const flight = new Flight(CEILING);
    flight.measuredRtt(5);
    for (let now = 0; now < 100; now += 2) {
      flight.sent(1000, now);
      flight.acked(1000, now + 1); // and nothing is in flight for 1 ms
    }
    expect(flight.bytes).toBe(0);
    expect(flight.pathBytes / 5).toBeGreaterThan(400);
    expect(flight.pathBytes / 5).toBeLessThan(700);
  });

  test("a new round trip counts at once for the rates already known", () => {
    const flight = new Flight(CEILING);
    flight.measuredRtt(100);
    run(flight, 10_000, 1000);
    flight.measuredRtt(20);
    expect(flight.limit).toBeCloseTo(2 * 10_000 * 20);
  });

  test("a new transport starts with nothing in flight and nothing known", () => {
    const flight = new Flight(CEILING);
    flight.measuredRtt(100);
    run(flight, 100_000, 500);
    flight.sent(5000, 600);
    flight.restart(1000);
    expect(flight).toMatchObject({
      bytes: 0,
      limit: START,
      minRttMs: undefined,
      lastRttMs: undefined,
      pathBytes: 0,
    });
    expect(flight.hasRoom).toBe(true);
  });
});
