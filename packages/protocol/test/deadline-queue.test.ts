import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DeadlineQueue } from "../src/deadline-queue.ts";
import { holds } from "./support/property.ts";

interface Item {
  deadline: number;
}

const newQueue = () => new DeadlineQueue<Item>();
const item = (deadline: number): Item => ({ deadline });

describe("DeadlineQueue", () => {
  test("is never due when empty", () => {
    const queue = newQueue();
    expect(queue.first).toBeUndefined();
    expect(queue.takeExpired(1e9)).toEqual([]);
    expect(queue.deadline).toBe(Number.POSITIVE_INFINITY);
  });

  test("takes those whose deadline has come, in the order in which they came", () => {
    const queue = newQueue();
    const items = [item(1), item(2), item(3)];
    for (const i of items) queue.push(i);
    expect(queue.deadline).toBe(1);
    expect(queue.takeExpired(0.9)).toEqual([]);
    expect(queue.takeExpired(2)).toEqual(items.slice(0, 2));
    expect(queue.takeExpired(2)).toEqual([]);
    expect(queue.deadline).toBe(3);
  });

  test("forgets an item that no longer waits, wherever it stands", () => {
    const queue = newQueue();
    const items = [item(1), item(2), item(3), item(4)];
    for (const i of items) queue.push(i);
    expect(queue.delete(items[2] as Item)).toBe(true);
    expect(queue.delete(items[0] as Item)).toBe(true);
    expect(queue.delete(items[0] as Item)).toBe(false);
    expect(queue.size).toBe(2);
    expect(queue.deadline).toBe(2);
    queue.clear();
    expect(queue.deadline).toBe(Number.POSITIVE_INFINITY);
  });

  test("an item that comes again stands last, also one that was looked at as the first", () => {
    const queue = newQueue();
    const items = [item(1), item(2)];
    for (const i of items) queue.push(i);
    expect(queue.first).toBe(items[0]);
    queue.delete(items[0]!);
    items[0]!.deadline = 3;
    queue.push(items[0]!);
    expect(queue.takeExpired(9)).toEqual([items[1], items[0]]);
    queue.push(items[1]!);
    expect(queue.first).toBe(items[1]);
    queue.clear();
    expect(queue.first).toBeUndefined();
    queue.push(items[0]!);
    expect(queue.first).toBe(items[0]);
  });

  test("behaves as a list does, through thousands of items", () => {
    const step = fc.record({
      pushes: fc.nat({ max: 100 }),
      gone: fc.nat({ max: 7 }),
      wait: fc.nat({ max: 100 }),
    });
    holds(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const queue = newQueue();
        let model: Item[] = [];
        let last = 0;
        let now = 0;
        for (const { pushes, gone, wait } of steps) {
          for (let i = 0; i < pushes; i += 1) {
            last += 1;
            const next = item(last);
            queue.push(next);
            model.push(next);
          }
          for (const [i, it] of model.entries()) if (i % 8 < gone) queue.delete(it);
          model = model.filter((_, i) => i % 8 >= gone);
          now += wait;
          expect(queue.takeExpired(now)).toEqual(model.filter((it) => it.deadline <= now));
          model = model.filter((it) => it.deadline > now);
          expect(queue.size).toBe(model.length);
          expect(queue.first).toBe(model[0]);
        }
      }),
      100,
    );
  });
});
