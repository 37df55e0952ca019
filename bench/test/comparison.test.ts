import { expect, test } from "vitest";
import { bestPeer, compare } from "../report/comparison.ts";
import { CULVERT, contender, DIRECT, FAST, HALF_CLOSE, RATE, SLOW, sampleOutcome, TIME } from "./sample.ts";

const ROUNDS = new Map([
  [DIRECT, [100, 100, 100]],
  [CULVERT, [6, 9, 4]],
  [FAST, [3, 3, 4]],
  [SLOW, [1, 1, 1]],
]);

test("takes the best peer, which is neither a limit nor Culvert", () => {
  const { results, contenders } = sampleOutcome(new Map([[RATE, ROUNDS]]));
  expect(bestPeer(RATE, contenders, results)).toEqual({ contender: contender(FAST), median: 3 });
});

test("takes the lowest where less is better", () => {
  const { results, contenders } = sampleOutcome(new Map([[TIME, ROUNDS]]));
  expect(bestPeer(TIME, contenders, results)).toEqual({ contender: contender(SLOW), median: 1 });
});

test("takes the ratio round by round: its median and its quartiles", () => {
  const { results, contenders } = sampleOutcome(new Map([[RATE, ROUNDS]]));
  const own = compare(RATE, contenders, results)[1];
  expect(own?.contender).toEqual(contender(CULVERT));
  expect(own?.ratio).toEqual({ median: 2, low: 1.5, high: 2.5, n: 3 });
});

test("is above 1 for who is ahead, also where less is better", () => {
  const values = new Map([
    [CULVERT, [50]],
    [FAST, [100]],
  ]);
  const { results, contenders } = sampleOutcome(new Map([[TIME, values]]));
  expect(compare(TIME, contenders, results).map(({ ratio }) => ratio?.median)).toEqual([2, 1]);
});

test("leaves out who failed", () => {
  const values = new Map<typeof FAST, number[] | string>([
    [CULVERT, [5]],
    [FAST, "out of time"],
    [SLOW, [10]],
  ]);
  const { results, contenders } = sampleOutcome(new Map([[RATE, values]]));
  expect(bestPeer(RATE, contenders, results)?.contender).toEqual(contender(SLOW));
  expect(compare(RATE, contenders, results).map(({ ratio }) => ratio?.median)).toEqual([0.5, undefined, 1]);
});

test("makes no ratio of a yes or no, nor without a peer", () => {
  const both = new Map([
    [CULVERT, [1]],
    [FAST, [1]],
  ]);
  const { results, contenders } = sampleOutcome(new Map([[HALF_CLOSE, both]]));
  expect(compare(HALF_CLOSE, contenders, results).map(({ ratio }) => ratio)).toEqual([undefined, undefined]);
  const alone = sampleOutcome(new Map([[RATE, new Map([[CULVERT, [1]]])]]));
  expect(compare(RATE, alone.contenders, alone.results)[0]?.ratio).toBeUndefined();
});

test("makes no ratio to nothing", () => {
  const values = new Map([
    [CULVERT, [1]],
    [FAST, [0]],
  ]);
  const { results, contenders } = sampleOutcome(new Map([[RATE, values]]));
  expect(compare(RATE, contenders, results)[0]?.ratio).toBeUndefined();
});
