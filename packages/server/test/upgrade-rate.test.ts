import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { Gate } from "../src/gate.ts";
import { UpgradeRate } from "../src/upgrade-rate.ts";
import { somebody } from "./support/identities.ts";

/** How many of `tries` are taken at that moment. */
function taken(rate: UpgradeRate, now: number, address?: string, tries = 1000): number {
  let count = 0;
  for (let n = 0; n < tries; n += 1) count += rate.take(now, address) ? 1 : 0;
  return count;
}

describe("UpgradeRate", () => {
  test("an address that takes all it can leaves as much to others", () => {
    const rate = new UpgradeRate(200, 0);
    expect(taken(rate, 0, "192.0.2.1")).toBe(100);
    expect(taken(rate, 0, "192.0.2.2")).toBe(50);
    for (let host = 1; host <= 40; host += 1) expect(rate.take(0, `198.51.100.${host}`)).toBe(true);
    expect(taken(rate, 0, "127.0.0.1")).toBe(10);
    expect(rate.take(0, "198.51.100.99")).toBe(false);
  });

  test("hosts that connect in a circle use up nothing that another one needs", () => {
    const rate = new UpgradeRate(200, 0);
    let theirs = 0;
    for (let ms = 0; ms < 20_000; ms += 1) {
      for (const host of ["192.0.2.1", "2001:db8::1", "2001:db8::2"]) theirs += taken(rate, ms, host, 5);
      if (ms % 100 === 0) expect(rate.take(ms, "198.51.100.7"), `after ${ms} ms`).toBe(true);
    }
    // Nothing is kept back that nobody wants.
    expect(theirs).toBeGreaterThan(0.95 * 20 * 190);
  });

  test("alone, an address may take all of it", () => {
    const rate = new UpgradeRate(10, 0);
    let all = 0;
    for (let ms = 0; ms < 60_000; ms += 10) all += taken(rate, ms, "192.0.2.1", 1);
    expect(all).toBeGreaterThan(590);
    const slow = new UpgradeRate(1, 0);
    for (let second = 0; second < 10; second += 1) expect(slow.take(second * 1000, "192.0.2.1")).toBe(true);
  });

  test("loopback, and who has no address, may take all at once", () => {
    for (const address of ["127.0.0.1", "::1", undefined])
      expect(taken(new UpgradeRate(200, 0), 0, address)).toBe(200);
  });
});

test("the gate asks by the address of the socket", async () => {
  const rate = new UpgradeRate(4, 0);
  const gate = new Gate({
    authenticators: { authenticate: () => ({ kind: "identity", identity: somebody() }) },
    origins: [],
    retryAfterSeconds: () => undefined,
    hasTime: (address) => rate.take(0, address),
  });
  const request = {
    method: "GET",
    rawHeaders: [],
    headers: { upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-protocol": "culvert.v1" },
  } as unknown as IncomingMessage;
  const verdicts = (remoteAddress: string) =>
    Promise.all(
      [1, 2, 3, 4].map(async () => (await gate.judge(request, { remoteAddress } as unknown as Duplex)).kind),
    );
  expect(await verdicts("192.0.2.1")).toEqual(["pass", "pass", "refuse", "refuse"]);
  expect(await verdicts("198.51.100.7")).toEqual(["pass", "refuse", "refuse", "refuse"]);
});
