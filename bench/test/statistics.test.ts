import { expect, test } from "vitest";
import { quantile, spread } from "../statistics.ts";

test("takes the median and the quartiles, between two values if there is none", () => {
  expect(spread([4, 1, 3, 2])).toEqual({ median: 2.5, low: 1.75, high: 3.25, n: 4 });
  expect(spread([7])).toEqual({ median: 7, low: 7, high: 7, n: 1 });
});

test("does not change what it is given", () => {
  const values = [3, 1, 2];
  spread(values);
  expect(values).toEqual([3, 1, 2]);
});

test("of nothing makes nothing", () => {
  expect(quantile([], 0.5)).toBeNaN();
});
