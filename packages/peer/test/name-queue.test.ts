import type { LookupAddress } from "node:dns";
import { describe, expect, test, vi } from "vitest";
import { NameQueue } from "../src/name-queue.ts";

type Answer = (error: Error | null, addresses: LookupAddress[]) => void;

const ADDRESSES: LookupAddress[] = [{ address: "192.0.2.1", family: 4 }];

/** A queue before a resolver that answers when the test says so. */
function queued(atOnce: number) {
  const lookup = vi.fn((_host: string, _options: object, _answer: Answer) => {});
  const queue = new NameQueue(lookup, atOnce);
  const heard: string[] = [];
  return {
    queue,
    heard,
    asked: () => lookup.mock.calls.map(([host]) => host).join(" "),
    /** Asks for `owner`, and returns what takes the question back. */
    ask: (owner: object, ...hosts: string[]) =>
      hosts.map((host) =>
        queue.question(host, owner).hear((error) => heard.push(error ? `no ${host}` : host)),
      ),
    answer: (host: string, error: Error | null = null) => {
      const call = lookup.mock.calls.findLast(([asked]) => asked === host);
      call![2](error, ADDRESSES);
    },
  };
}

const [A, B, C] = [{}, {}, {}];

describe("NameQueue", () => {
  test("asks no more than the resolver answers at once", () => {
    const { ask, asked, answer } = queued(2);
    ask(A, "a1");
    ask(B, "b1");
    ask(C, "c1");
    expect(asked()).toBe("a1 b1");
    answer("b1");
    expect(asked()).toBe("a1 b1 c1");
  });

  test("one owner with dead names leaves a place to others, also when they come later", () => {
    for (const [atOnce, most] of [
      [1, 1],
      [2, 1],
      [4, 2],
      [8, 4],
      [256, 32],
    ] as const) {
      const { ask, asked } = queued(atOnce);
      ask(A, ...Array.from({ length: 250 }, (_, at) => `a${at}`));
      expect(asked().split(" ")).toHaveLength(most);
      ask(B, "b");
      expect(asked().endsWith(" b")).toBe(atOnce > 1);
    }
  });

  test("owners take turns; who has nothing asked comes before a second question of anybody", () => {
    const { ask, asked, answer } = queued(1);
    ask(A, "a1", "a2", "a3");
    ask(B, "b1", "b2");
    ask(C, "c1");
    for (const host of ["a1", "b1", "c1", "a2", "b2", "a3"]) answer(host);
    expect(asked()).toBe("a1 b1 c1 a2 b2 a3");
  });

  test("what its asker gave up leaves the line; what is asked keeps its place", () => {
    const { ask, asked, answer, queue, heard } = queued(1);
    const [a1, a2] = ask(A, "a1", "a2", "a3");
    const [b1] = ask(B, "b1");
    for (const takeBack of [a1, a2, b1]) takeBack!();
    expect(asked()).toBe("a1");
    answer("a1");
    expect(asked()).toBe("a1 a3");
    for (let round = 0; round < 1000; round += 1) queue.question(`r${round}`, B).hear(() => undefined)();
    answer("a3");
    expect(asked()).toBe("a1 a3");
    expect(heard).toEqual(["a3"]);
  });

  test("a name is asked once, whoever waits for it", () => {
    const { ask, asked, answer, heard } = queued(2);
    ask(A, "slow", "wanted");
    const [takeBack] = ask(B, "slow", "wanted");
    ask(C, "wanted", "wanted");
    expect(asked()).toBe("slow wanted");
    takeBack!();
    answer("wanted", new Error("none"));
    expect(heard).toEqual(["no wanted", "no wanted", "no wanted", "no wanted"]);
    answer("slow");
    expect(heard.slice(4)).toEqual(["slow"]);
    ask(A, "wanted");
    expect(asked()).toBe("slow wanted wanted");
  });

  test("lets 256 names of an owner wait and refuses the next one; who gives up makes room", () => {
    const { ask } = queued(1);
    ask(A, "asked");
    const [impatient] = ask(A, ...Array.from({ length: 256 }, (_, at) => `n${at}`));
    ask(A, "n7");
    expect(() => ask(A, "more")).toThrow("too many names");
    ask(B, "more");
    impatient!();
    ask(A, "more");
  });

  test("a lookup that throws, or answers at once, keeps no place", () => {
    const heard: unknown[] = [];
    const broken = new NameQueue(() => {
      throw new Error("broken");
    }, 1);
    const prompt = new NameQueue((_host, _options, done) => done(null, ADDRESSES), 1);
    for (let n = 0; n < 10; n += 1) {
      broken.question("n", A).hear((error) => heard.push((error as Error).message));
      prompt.question("n", A).hear((_error, addresses) => heard.push(addresses));
    }
    expect(heard).toEqual(Array.from({ length: 10 }, () => ["broken", ADDRESSES]).flat());
  });
});
