import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { StreamScheduler } from "../src/stream-scheduler.ts";
import { holds } from "./support/property.ts";

const QUANTUM = 1000;

class Source {
  readonly name: string;
  queued: number;
  sent = 0;

  constructor(name: string, queued = 0) {
    this.name = name;
    this.queued = queued;
  }

  get isSendable(): boolean {
    return this.queued > 0;
  }
}

/** Sends one frame of at most `largest` bytes of whose turn it is; its name, or undefined when none has a turn. */
function turn(scheduler: StreamScheduler<Source>, largest = QUANTUM): string | undefined {
  const next = scheduler.next();
  if (next === undefined) return undefined;
  const length = Math.min(next.queued, largest);
  next.queued -= length;
  next.sent += length;
  scheduler.spend(next, length + 11);
  return next.name;
}

function turns(scheduler: StreamScheduler<Source>, count: number, largest?: number): string {
  return Array.from({ length: count }, () => turn(scheduler, largest) ?? "-").join("");
}

describe("StreamScheduler", () => {
  test("has no turn for anyone when nobody is active, or nobody can send", () => {
    const scheduler = new StreamScheduler<Source>(QUANTUM);
    expect(scheduler.next()).toBeUndefined();
    scheduler.activate(new Source("a"));
    expect(scheduler.next()).toBeUndefined();
    expect(scheduler.size).toBe(0);
  });

  test("asking twice without sending gives the same turn", () => {
    const scheduler = new StreamScheduler<Source>(QUANTUM);
    const a = new Source("a", 5000);
    scheduler.activate(a);
    scheduler.activate(new Source("b", 5000));
    expect(scheduler.next()).toBe(a);
    expect(scheduler.next()).toBe(a);
  });

  test("being activated twice is being activated once", () => {
    const scheduler = new StreamScheduler<Source>(QUANTUM);
    const a = new Source("a", 1e6);
    scheduler.activate(a);
    scheduler.activate(a);
    scheduler.activate(new Source("b", 1e6));
    expect(scheduler.size).toBe(2);
    expect(turns(scheduler, 6)).toBe("ababab");
  });

  test("streams with full queues take turns, whatever the size of their frames", () => {
    const scheduler = new StreamScheduler<Source>(QUANTUM);
    const sources = ["a", "b", "c"].map((name) => new Source(name, 1e9));
    for (const source of sources) scheduler.activate(source);
    for (let i = 0; i < 3000; i += 1) turn(scheduler, [1000, 100, 333][i % 3]);
    const shares = sources.map((source) => source.sent);
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(2 * QUANTUM);
  });

  test("a stream of small frames gets as many bytes as one of large frames, counting what frames cost", () => {
    const scheduler = new StreamScheduler<Source>(QUANTUM);
    const small = new Source("s", 1e9);
    const large = new Source("l", 1e9);
    scheduler.activate(small);
    scheduler.activate(large);
    const cost = { s: 0, l: 0 };
    for (let i = 0; i < 20_000; i += 1) {
      const next = scheduler.next();
      if (next === undefined) throw new Error("no turn");
      const length = next === small ? 50 : 1000;
      scheduler.spend(next, length + 11);
      cost[next.name as "s" | "l"] += length + 11;
    }
    expect(Math.abs(cost.s - cost.l)).toBeLessThanOrEqual(2 * QUANTUM);
  });

  test("a newly active stream goes before those that have been sending", () => {
    const scheduler = new StreamScheduler<Source>(QUANTUM);
    for (const name of ["a", "b", "c"]) scheduler.activate(new Source(name, 1e6));
    turns(scheduler, 10);
    scheduler.activate(new Source("N", 10));
    expect(turn(scheduler)).toBe("N");
    expect(turns(scheduler, 30)).not.toContain("N");
  });

  test("new streams are served in the order in which they became active", () => {
    const scheduler = new StreamScheduler<Source>(QUANTUM);
    scheduler.activate(new Source("a", 1e6));
    turns(scheduler, 3);
    for (const name of ["x", "y", "z"]) scheduler.activate(new Source(name, 1));
    expect(turns(scheduler, 4)).toBe("xyza");
  });

  test("a new stream that goes on sending falls back among the others after one quantum", () => {
    const scheduler = new StreamScheduler<Source>(QUANTUM);
    scheduler.activate(new Source("a", 1e6));
    scheduler.activate(new Source("b", 1e6));
    turns(scheduler, 4);
    scheduler.activate(new Source("N", 1e6));
    expect(turn(scheduler)).toBe("N");
    expect([...turns(scheduler, 12)].sort().join("")).toBe("NNNNaaaabbbb");
  });

  test("a stream that can no longer send loses its place, and comes back as new", () => {
    const scheduler = new StreamScheduler<Source>(QUANTUM);
    const a = new Source("a", 1e6);
    const b = new Source("b", 1e6);
    scheduler.activate(a);
    scheduler.activate(b);
    turns(scheduler, 4);
    b.queued = 0;
    expect(turns(scheduler, 4)).toBe("aaaa");
    expect(scheduler.size).toBe(1);
    b.queued = 500;
    scheduler.activate(b);
    expect(turns(scheduler, 2)).toBe("ba");
  });

  test.each([1, 0.7, 0.5, 0.1])(
    "nobody gains by stopping and starting with bursts of %f quantum",
    (burst) => {
      const scheduler = new StreamScheduler<Source>(QUANTUM);
      const bulk = new Source("b", 1e9);
      const teaser = new Source("t");
      scheduler.activate(bulk);
      for (let i = 0; i < 5000; i += 1) {
        if (!teaser.isSendable) {
          teaser.queued = burst * QUANTUM;
          scheduler.activate(teaser); // again at once, each time
        }
        turn(scheduler);
      }
      expect(teaser.sent).toBeLessThanOrEqual(bulk.sent + 2 * QUANTUM);
    },
  );

  test("a quantum smaller than what a frame costs beside its payload still moves on", () => {
    const scheduler = new StreamScheduler<Source>(1);
    scheduler.activate(new Source("a", 10));
    scheduler.activate(new Source("b", 10));
    expect(turns(scheduler, 20, 1).split("a").length - 1).toBe(10);
    expect(turn(scheduler)).toBeUndefined();
  });

  test("everything that is activated is sent, and nobody waits longer than a round", () => {
    const arrival = fc.record({ stream: fc.nat({ max: 7 }), bytes: fc.integer({ min: 1, max: 4000 }) });
    holds(
      fc.property(fc.array(arrival, { maxLength: 80 }), fc.nat({ max: 3 }), (arrivals, turnsBetween) => {
        const scheduler = new StreamScheduler<Source>(QUANTUM);
        const sources = Array.from({ length: 8 }, (_, i) => new Source(`${i}`));
        let total = 0;
        for (const { stream, bytes } of arrivals) {
          const source = sources[stream] as Source;
          source.queued += bytes;
          total += bytes;
          scheduler.activate(source);
          for (let i = 0; i < turnsBetween; i += 1) turn(scheduler, 700);
        }
        let left = total - sources.reduce((sum, s) => sum + s.sent, 0);
        while (left > 0) {
          const before = sources.map((s) => s.sent);
          // One round: each active stream gets a quantum, in frames of at most 700 bytes; 8 x 3 turns are enough.
          const hungry = sources.filter((s) => s.isSendable);
          for (let i = 0; i < 8 * 4; i += 1) turn(scheduler, 700);
          for (const s of hungry) expect(s.sent).toBeGreaterThan(before[Number(s.name)] ?? 0);
          left = total - sources.reduce((sum, s) => sum + s.sent, 0);
        }
        expect(turn(scheduler)).toBeUndefined();
        expect(scheduler.size).toBe(0);
      }),
    );
  });
});
