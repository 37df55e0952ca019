import { queryObjects } from "node:v8";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DeadlineQueue } from "../src/deadline-queue.ts";
import { holds } from "./support/property.ts";

interface Item {
  deadline: number;
  waits: boolean;
}

const newQueue = () => new DeadlineQueue<Item>((item) => item.waits);
const item = (deadline: number, waits = true): Item => ({ deadline, waits });

describe("DeadlineQueue", () => {
  test("is never due when empty", () => {
    const queue = newQueue();
    expect(queue.first).toBeUndefined();
    expect(queue.shift()).toBeUndefined();
    expect(queue.deadline).toBe(Number.POSITIVE_INFINITY);
  });

  test("gives its items in the order in which they came", () => {
    const queue = newQueue();
    const items = [item(1), item(2), item(3)];
    for (const i of items) queue.push(i);
    expect(queue.deadline).toBe(1);
    expect([queue.shift(), queue.shift(), queue.shift(), queue.shift()]).toEqual([...items, undefined]);
  });

  test("passes over items that no longer wait, at the head and behind it", () => {
    const queue = newQueue();
    const items = [item(1), item(2), item(3), item(4)];
    for (const i of items) queue.push(i);
    for (const i of [0, 2]) (items[i] as Item).waits = false;
    expect(queue.deadline).toBe(2);
    expect(queue.shift()).toBe(items[1]);
    expect(queue.deadline).toBe(4);
    (items[3] as Item).waits = false;
    expect(queue.deadline).toBe(Number.POSITIVE_INFINITY);
    queue.push(item(5));
    expect(queue.deadline).toBe(5);
  });

  test("looking does not take", () => {
    const queue = newQueue();
    queue.push(item(7));
    expect(queue.first).toBe(queue.first);
    expect(queue.shift()?.deadline).toBe(7);
  });

  // A session with always one open under way must not remember every stream that it ever had.
  test.fails("keeps no items that were passed over, as long as others come and wait", () => {
    class Marked implements Item {
      deadline = 0;
      waits = true;
    }
    const queue = new DeadlineQueue<Marked>((it) => it.waits);
    let last: Marked | undefined;
    for (let i = 0; i < 10_000; i += 1) {
      const next = new Marked();
      queue.push(next);
      if (last !== undefined) last.waits = false;
      last = next;
      queue.first;
    }
    const kept = queryObjects(Marked, { format: "count" });
    expect(queue.first).toBe(last); // the queue itself is still in use
    expect(kept).toBeLessThan(1000);
  });

  test("behaves as a filtered list does, through many thousands of items", () => {
    const step = fc.record({
      pushes: fc.nat({ max: 300 }),
      gone: fc.nat({ max: 7 }),
      shifts: fc.nat({ max: 300 }),
    });
    holds(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const queue = newQueue();
        let model: Item[] = [];
        let deadline = 0;
        for (const { pushes, gone, shifts } of steps) {
          for (let i = 0; i < pushes; i += 1) {
            deadline += 1;
            const next = item(deadline);
            queue.push(next);
            model.push(next);
          }
          for (const [i, it] of model.entries()) if (i % 8 < gone) it.waits = false;
          model = model.filter((it) => it.waits);
          for (let i = 0; i < shifts; i += 1)
            if (queue.shift() !== model.shift()) expect.unreachable(`another item at ${i}`);
          expect(queue.first).toBe(model[0]);
        }
      }),
      100,
    );
  });
});
