import { describe, expect, it } from "vitest";
import { DelayQueue } from "../src/delay-queue.ts";

describe("DelayQueue", () => {
  it("never lets a later chunk be due before an earlier one", () => {
    const queue = new DelayQueue();
    queue.push(Buffer.from("a"), 50);
    queue.push(Buffer.from("b"), 20);
    expect(queue.take(1).toString()).toBe("a");
    expect(queue.due).toBe(50);
    queue.take(1);
    expect(queue.due).toBeUndefined();
    expect(queue.inOrder(10)).toBe(10);
  });

  it("gives every byte once and in order, in any pieces", () => {
    const queue = new DelayQueue();
    const text = Array.from({ length: 5_000 }, (_, i) => `${i},`);
    let out = "";
    for (const [i, word] of text.entries()) {
      queue.push(Buffer.from(word), i);
      if (i % 3 === 0) out += queue.take(1).toString();
    }
    while (!queue.isEmpty) out += queue.take(Math.min(2, queue.headBytes)).toString();
    expect(out).toBe(text.join(""));
    expect([queue.bytes, queue.cost, queue.headBytes]).toEqual([0, 0, 0]);
  });

  it("counts a tiny chunk for more than its bytes", () => {
    const queue = new DelayQueue();
    queue.push(Buffer.from("a"), 0);
    expect(queue.bytes).toBe(1);
    expect(queue.cost).toBeGreaterThan(100);
  });

  it("hastens what waits, and only to earlier", () => {
    const queue = new DelayQueue();
    queue.push(Buffer.from("a"), 10);
    queue.push(Buffer.from("b"), 1_000);
    queue.hasten(100);
    expect(queue.due).toBe(10);
    queue.take(1);
    expect(queue.due).toBe(100);
    queue.push(Buffer.from("c"), 50);
    expect(queue.inOrder(0)).toBe(100);
  });

  it("says how much it threw away", () => {
    const queue = new DelayQueue();
    queue.push(Buffer.from("abc"), 10);
    expect(queue.clear()).toBe(3);
    expect(queue.isEmpty).toBe(true);
    expect(() => queue.take(1)).toThrow(RangeError);
  });
});
