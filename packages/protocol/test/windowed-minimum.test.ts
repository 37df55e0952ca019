import { expect, test } from "vitest";
import { WindowedMinimum } from "../src/windowed-minimum.ts";

test("is infinite without a value, and again when it was cleared", () => {
  const minimum = new WindowedMinimum(100);
  expect(minimum.value).toBe(Number.POSITIVE_INFINITY);
  minimum.add(3, 0);
  expect(minimum.value).toBe(3);
  minimum.clear();
  expect(minimum.value).toBe(Number.POSITIVE_INFINITY);
});

test("remembers the smallest value for one window at the least and two at the most", () => {
  const minimum = new WindowedMinimum(100);
  minimum.add(2, 1000);
  minimum.add(7, 1099);
  expect(minimum.value).toBe(2);
  minimum.add(5, 1100);
  expect(minimum.value).toBe(2);
  minimum.add(6, 1199);
  expect(minimum.value).toBe(2);
  minimum.add(9, 1200);
  expect(minimum.value).toBe(5);
});

test("forgets all of them after two windows without any", () => {
  const minimum = new WindowedMinimum(100);
  minimum.add(2, 1000);
  minimum.add(8, 1200);
  expect(minimum.value).toBe(8);
});
