import { describe, expect, test } from "vitest";
import { LongLine } from "./support/long-line.ts";

const MS = 1;
const SECOND = 1000 * MS;
const GBIT = 125_000; // bytes a ms

/** Shares of the line's rate that the stream had in each quarter of a second. */
function shares(line: LongLine, stream: number, rate: number, quarters: number): number[] {
  return Array.from({ length: quarters }, () => {
    const before = line.received[stream]!;
    line.run(SECOND / 4);
    return (line.received[stream]! - before) / (rate * 250);
  });
}

describe("one stream over a line of", () => {
  test.each([
    ["1 Gbit/s and 1 ms", GBIT, 0.5, 0],
    ["1 Gbit/s and 50 ms", GBIT, 25, 3],
    ["1 Gbit/s and 100 ms", GBIT, 50, 4],
    ["100 Mbit/s and 200 ms", GBIT / 10, 100, 7],
    ["100 Mbit/s and 600 ms", GBIT / 10, 300, 19],
    ["10 Mbit/s and 40 ms", GBIT / 100, 20, 1],
    ["1 Mbit/s and 40 ms", GBIT / 1000, 20, 1],
  ])("%s fills it after a few round trips, and from then on", (_name, rate, delayMs, quarters) => {
    const line = new LongLine({ rate, delayMs });
    line.run(3 * delayMs); // the round trip is known
    const stream = line.bulk();
    shares(line, stream, rate, quarters);
    const after = shares(line, stream, rate, 16);
    expect(after.reduce((sum, share) => sum + share, 0) / after.length).toBeGreaterThan(0.9);
  });

  test("1 Gbit/s and 100 ms: windows and flight double each round trip, and stop at four times what the path takes", () => {
    const line = new LongLine({ rate: GBIT / 10, delayMs: 50 });
    line.run(300);
    line.bulk();
    line.run(200); // OPEN, and the first window
    const flights: number[] = [];
    for (let trip = 0; trip < 20; trip += 1) {
      let most = 0;
      for (let i = 0; i < 100; i += 1) {
        line.run(1);
        most = Math.max(most, line.sender.counters.inFlightBytes);
      }
      flights.push(most);
    }
    const path = (GBIT / 10) * 100;
    for (const [trip, flight] of flights.entries()) {
      if (trip > 0 && flights[trip - 1]! < path / 2) {
        expect(flight / flights[trip - 1]!, `trip ${trip}`).toBeGreaterThan(1.5);
      }
      expect(flight).toBeLessThan(4.2 * path);
    }
    expect(flights[8]).toBeGreaterThan(path);
  });

  test.each([
    ["with an event loop that takes 5 ms a turn", 5],
    ["with one that takes 20 ms", 20],
  ])("100 Mbit/s and 100 ms, %s: it is filled all the same", (_what, turnMs) => {
    const rate = GBIT / 10;
    const line = new LongLine({ rate, delayMs: 50, turnMs });
    line.run(500);
    const stream = line.bulk();
    shares(line, stream, rate, 12);
    const after = shares(line, stream, rate, 8);
    expect(Math.min(...after)).toBeGreaterThan(0.8);
  });
});

describe("two streams", () => {
  test("share a line, also when one comes later", () => {
    const rate = GBIT / 10;
    const line = new LongLine({ rate, delayMs: 50 });
    line.run(300);
    const first = line.bulk();
    line.run(2 * SECOND);
    const second = line.bulk();
    line.run(2 * SECOND);
    const before = line.received.slice();
    line.run(2 * SECOND);
    const [a, b] = [first, second].map((n) => line.received[n]! - before[n]!) as [number, number];
    expect(a + b).toBeGreaterThan(0.9 * rate * 2000);
    expect(Math.min(a, b) / Math.max(a, b)).toBeGreaterThan(0.8);
  });
});

test("on a slow line what is sent waits for a second at most, once that is known, and for no less", () => {
  const rate = 32; // 256 kbit/s
  const line = new LongLine({ rate, delayMs: 20 });
  line.run(300);
  const stream = line.bulk();
  line.run(20 * SECOND);
  let most = 0;
  for (let i = 0; i < 200; i += 1) {
    line.run(50);
    most = Math.max(most, line.sender.counters.inFlightBytes);
  }
  expect(most / rate).toBeLessThan(1.4 * SECOND);
  expect(line.received[stream]! / (rate * 30 * SECOND)).toBeGreaterThan(0.9);
});
