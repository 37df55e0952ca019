import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { LoginPenalties, loginSourceOf } from "../src/login-penalties.ts";

const HERE = { key: "192.0.2.1", isShared: false };
const PROXY = { key: "through 127.0.0.1", isShared: true };

describe("T2: a source that fails", () => {
  test("may slip twice; the third time it waits for what has added up", () => {
    const penalties = new LoginPenalties();
    penalties.failed(HERE, 0);
    penalties.failed(HERE, 0);
    expect(penalties.waitMs(HERE, 0)).toBe(0);
    penalties.failed(HERE, 0);
    expect(penalties.waitMs(HERE, 0)).toBe(15_000);
    expect(penalties.waitMs(HERE, 14_000)).toBe(1000);
    expect(penalties.waitMs(HERE, 15_000)).toBe(0);
  });

  test("is forgiven what is over, and waits for what is not", () => {
    const penalties = new LoginPenalties();
    for (const now of [0, 5000, 10_000, 15_000, 20_000]) penalties.failed(HERE, now);
    expect(penalties.waitMs(HERE, 20_000)).toBe(0);
    for (const now of [20_000, 20_000]) penalties.failed(HERE, now);
    expect(penalties.waitMs(HERE, 20_000)).toBe(15_000);
  });

  test("waits also when it took some time for the three, and not for three in as many seconds", () => {
    const [quick, slow] = [new LoginPenalties(), new LoginPenalties()];
    for (const n of [0, 1, 2]) {
      quick.failed(HERE, n * 400);
      slow.failed(HERE, n * 1000);
    }
    expect(quick.waitMs(HERE, 800)).toBe(14_200);
    expect(slow.waitMs(HERE, 2000)).toBe(0);
  });

  test("waits to the end of it, and begins anew afterwards", () => {
    const penalties = new LoginPenalties();
    for (let i = 0; i < 3; i += 1) penalties.failed(HERE, 0);
    expect(penalties.waitMs(HERE, 14_999)).toBe(1);
    expect(penalties.waitMs(HERE, 15_000)).toBe(0);
    penalties.failed(HERE, 15_000);
    expect(penalties.waitMs(HERE, 15_000)).toBe(0);
  });

  test("waits 10 minutes at most, however many it had under way", () => {
    const penalties = new LoginPenalties();
    for (let i = 0; i < 1000; i += 1) penalties.failed(HERE, 0);
    expect(penalties.waitMs(HERE, 0)).toBe(600_000);
  });

  test("is no other one's fault", () => {
    const penalties = new LoginPenalties();
    for (let i = 0; i < 9; i += 1) penalties.failed(HERE, 0);
    expect(penalties.waitMs({ key: "192.0.2.2", isShared: false }, 0)).toBe(0);
  });

  test("of 65,536 the one is forgotten that failed longest ago", () => {
    const penalties = new LoginPenalties();
    const source = (i: number) => ({ key: `source ${i}`, isShared: false });
    for (let i = 0; i < 3; i += 1) {
      penalties.failed(source(0), 0);
      penalties.failed(source(1), 0);
    }
    penalties.failed(source(0), 1);
    for (let i = 2; i < 65_537; i += 1) penalties.failed(source(i), 1);
    expect(penalties.size).toBe(65_536);
    expect(penalties.waitMs(source(0), 1)).toBeGreaterThan(0);
    expect(penalties.waitMs(source(1), 1)).toBe(0);
  });
});

test("T2: behind a proxy failures are throttled, and nobody is kept out for long", () => {
  const penalties = new LoginPenalties();
  for (let i = 0; i < 49; i += 1) penalties.failed(PROXY, 0);
  expect(penalties.waitMs(PROXY, 0)).toBe(0);
  for (let i = 0; i < 500; i += 1) penalties.failed(PROXY, 0);
  expect(penalties.waitMs(PROXY, 0)).toBe(50);
  expect(penalties.waitMs(PROXY, 60)).toBe(0);
  penalties.failed(PROXY, 60);
  expect(penalties.waitMs(PROXY, 60)).toBe(50);
  expect(penalties.waitMs(HERE, 60)).toBe(0);
});

describe("where a login comes from", () => {
  const sourceOf = (remoteAddress: string | undefined, headers: object = {}) =>
    loginSourceOf({ headers } as IncomingMessage, { remoteAddress } as unknown as Duplex);

  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["127.0.0.1", "127.0.0.1"],
    ["::ffff:127.0.0.1", "127.0.0.1"],
    ["127.0.0.2", "127.0.0.2"],
    ["::1", "::1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:db8:1:2::9", "2001:db8:1:2"],
  ])("%s counts as %s", (address, key) => {
    expect(sourceOf(address)).toEqual({ key, isShared: false });
  });

  test("what a proxy passed on, or came over a unix socket, may come from many", () => {
    for (const name of ["forwarded", "x-forwarded-for", "via", "x-real-ip"]) {
      expect(sourceOf("127.0.0.1", { [name]: "192.0.2.9" })).toEqual(PROXY);
    }
    expect(sourceOf(undefined)).toEqual({ key: "unix", isShared: true });
  });

  test("T13: who writes a proxy's header himself escapes to nobody else's", () => {
    const forged = sourceOf("192.0.2.1", { "x-forwarded-for": "198.51.100.1" });
    expect(forged).toEqual({ key: "through 192.0.2.1", isShared: true });
  });
});
