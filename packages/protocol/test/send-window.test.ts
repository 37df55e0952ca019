import { expect, test } from "vitest";
import { SendWindow } from "../src/send-window.ts";

test("has room up to its limit, which is raised and never lowered by the peer", () => {
  const window = new SendWindow(100);
  window.advance(60);
  expect([window.sent, window.room]).toEqual([60, 40]);
  expect(window.raise(500)).toBe(true);
  expect(window.raise(500)).toBe(false);
  expect(() => window.raise(499)).toThrow(expect.objectContaining({ code: "bad_window" }));
  expect(window.room).toBe(440);
});

test("has a surplus when there is more room than a new stream has", () => {
  const window = new SendWindow(100);
  expect(window.hasSurplus).toBe(false);
  window.raise(101);
  expect(window.hasSurplus).toBe(true);
  window.advance(1);
  expect(window.hasSurplus).toBe(false);
});

test("gives the surplus back, says what it had, and takes what was on its way", () => {
  const window = new SendWindow(100);
  window.raise(1000);
  window.advance(300);
  expect(window.release()).toBe(1000);
  expect(window.room).toBe(100);
  expect(window.raise(1001)).toBe(true);
  expect(window.room).toBe(701);
});

test("was used when something was sent since it was asked", () => {
  const window = new SendWindow(100);
  expect(window.wasUsed()).toBe(false);
  window.advance(1);
  expect([window.wasUsed(), window.wasUsed()]).toEqual([true, false]);
});
