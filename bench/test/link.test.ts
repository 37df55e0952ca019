import { expect, test } from "vitest";
import { Bottleneck } from "../link/bottleneck.ts";
import { Loss } from "../link/loss.ts";

test("lets bytes leave one after the other at its rate", () => {
  const bottleneck = new Bottleneck(1_000_000);
  expect(bottleneck.pass(5_000, 100)).toBe(105);
  expect(bottleneck.pass(5_000, 101)).toBe(110);
  expect(bottleneck.backlogMs(102)).toBe(8);
});

test("saves up nothing while it is idle", () => {
  const bottleneck = new Bottleneck(1_000_000);
  bottleneck.pass(1_000, 0);
  expect(bottleneck.backlogMs(500)).toBe(0);
  expect(bottleneck.pass(1_000, 500)).toBe(501);
});

function hits(rate: number, seed: number): number[] {
  const loss = new Loss(rate, seed);
  return Array.from({ length: 20_000 }, (_, i) => (loss.hits(1_460) ? i : -1)).filter((i) => i >= 0);
}

test("loses about the share of packets that it is told, the same for the same seed", () => {
  const lost = hits(0.01, 7);
  expect(lost.length).toBeGreaterThan(150);
  expect(lost.length).toBeLessThan(250);
  expect(hits(0.01, 7)).toEqual(lost);
  expect(hits(0.01, 8)).not.toEqual(lost);
});

test("loses nothing at a rate of 0", () => {
  expect(hits(0, 7)).toEqual([]);
});
