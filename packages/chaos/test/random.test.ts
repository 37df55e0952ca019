import { describe, expect, it } from "vitest";
import { Random } from "../src/random.ts";

describe("Random", () => {
  it("is mulberry32", () => {
    expect(new Random(0).fraction()).toBe(0.26642920868471265);
    expect(new Random(1).fraction()).toBe(0.6270739405881613);
  });

  it("draws the same again from the same seed, and other numbers from another", () => {
    const draw = (seed: number) =>
      Array.from(
        { length: 8 },
        (
          (random) => () =>
            random.uint32()
        )(new Random(seed)),
      );
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  it("derives generators that do not depend on what was drawn", () => {
    const random = new Random(5);
    const before = random.derive(3).uint32();
    random.uint32();
    expect(random.derive(3).uint32()).toBe(before);
    const first = new Set(Array.from({ length: 1_000 }, (_, label) => random.derive(label).uint32()));
    expect(first.size).toBe(1_000);
  });

  it("reaches both bounds and nothing beyond", () => {
    const random = new Random(9);
    const seen = new Set(Array.from({ length: 1_000 }, () => random.between(3, 6)));
    expect([...seen].sort()).toEqual([3, 4, 5, 6]);
  });

  it("shuffles without loss", () => {
    const items = [1, 2, 3, 4, 5, 6, 7];
    expect(new Random(2).shuffle(items).sort()).toEqual(items);
    expect(items).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it.each([-1, 1.5, 2 ** 32, Number.NaN])("refuses the seed %s", (seed) => {
    expect(() => new Random(seed)).toThrow(RangeError);
  });
});
