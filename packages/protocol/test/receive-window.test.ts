import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ReceiveBudget, ReceiveWindow } from "../src/receive-window.ts";
import { holds } from "./support/property.ts";

const KiB = 1024;
const OPTIONS = { initialWindowBytes: 8 * KiB, firstWindowBytes: 256 * KiB, maxWindowBytes: 4096 * KiB };

function newWindow(budgetBytes = 1e9, options: Partial<typeof OPTIONS> = {}) {
  const budget = new ReceiveBudget(budgetBytes);
  return { budget, window: new ReceiveWindow({ ...OPTIONS, ...options }, budget) };
}

/** The peer sends and the reader takes `length` bytes. */
function pass(window: ReceiveWindow, length: number): boolean {
  window.receive(window.received % 2 ** 32, length);
  return window.consume(length);
}

/** A stream that is lifted out of its initial window; returns the limit that was announced. */
function lifted(window: ReceiveWindow, now = 0): number {
  pass(window, 8 * KiB);
  const limit = window.grant(now, 1);
  if (limit === undefined) throw new Error("no first lift");
  return limit;
}

describe("what the peer gives back", () => {
  test("is free for others at once, down to the initial window behind what arrived", () => {
    const { budget, window } = newWindow();
    const limit = lifted(window);
    expect(budget.used).toBe(limit - 8 * KiB - OPTIONS.initialWindowBytes);
    expect(window.release(limit)).toBe(true);
    expect(budget.used).toBe(0);
    window.receive(8 * KiB, 8 * KiB);
    expect(() => window.receive(16 * KiB, 1)).toThrow(expect.objectContaining({ code: "window_exceeded" }));
  });

  test("leaves what waits for the reader where it is", () => {
    const { budget, window } = newWindow();
    const limit = lifted(window);
    window.receive(8 * KiB, 100 * KiB);
    window.release(limit);
    expect(budget.used).toBe(100 * KiB);
    window.consume(100 * KiB);
    expect(budget.used).toBe(0);
  });

  test("is granted again as soon as the reader has taken something", () => {
    const { window } = newWindow();
    window.release(lifted(window));
    expect(window.isDue).toBe(true);
    window.receive(8 * KiB, 1);
    expect(window.consume(1)).toBe(true);
    expect(window.grant(10, 1)).toBe(8 * KiB + 1 + 256 * KiB);
  });

  test("is nothing when it has got more meanwhile: that is on its way to it", () => {
    const { budget, window } = newWindow();
    const first = lifted(window);
    pass(window, 200 * KiB);
    const second = window.grant(10, 1)!;
    expect(second).toBeGreaterThan(first);
    const { used } = budget;
    expect(window.release(first)).toBe(false);
    expect(budget.used).toBe(used);
    window.receive(208 * KiB, second - 208 * KiB);
  });

  test("is nothing when it is no more than the initial window", () => {
    const { window } = newWindow();
    expect(window.release(8 * KiB)).toBe(false);
    pass(window, 8 * KiB);
    expect(window.release(8 * KiB)).toBe(false);
    expect(() => window.receive(8 * KiB, 1)).toThrow();
  });

  test("cannot be more than was granted", () => {
    const { window } = newWindow();
    expect(() => window.release(8 * KiB + 1)).toThrow(expect.objectContaining({ code: "bad_window" }));
  });
});

describe("what comes in", () => {
  test("may fill the initial window, to the last byte", () => {
    const { window } = newWindow();
    window.receive(0, 8 * KiB - 1);
    window.receive(8 * KiB - 1, 1);
    expect(window.received).toBe(8 * KiB);
    expect(window.unconsumed).toBe(8 * KiB);
    window.receive(8 * KiB, 0);
    expect(() => window.receive(8 * KiB, 1)).toThrow(expect.objectContaining({ code: "window_exceeded" }));
  });

  test("is counted before anything else: a frame too long changes nothing", () => {
    const { window } = newWindow();
    expect(() => window.receive(0, 8 * KiB + 1)).toThrow(
      expect.objectContaining({ code: "window_exceeded" }),
    );
    expect(() => window.receive(0, 2 ** 40)).toThrow(expect.objectContaining({ code: "window_exceeded" }));
    expect(window.received).toBe(0);
  });

  test.each([1, 99, 101, 2 ** 32 - 1])("must begin where the last byte ended: %i is not 100", (offset) => {
    const { window } = newWindow();
    window.receive(0, 100);
    expect(() => window.receive(offset, 1)).toThrow(expect.objectContaining({ code: "offset_mismatch" }));
  });

  test("carries offsets modulo 2^32, over the edge and behind it", () => {
    const { window } = newWindow(1e12, { initialWindowBytes: 2 ** 34 });
    window.receive(0, 2 ** 32 - 2);
    expect(() => window.receive(0, 1)).toThrow();
    window.receive(2 ** 32 - 2, 5);
    window.receive(3, 2 ** 32);
    window.receive(3, 1);
    window.receiveEnd(2 ** 33 + 4);
    expect(window.received).toBe(2 ** 33 + 4);
  });

  test("must be as much as END says", () => {
    for (const total of [0, 99, 101, 2 ** 32 + 100]) {
      const { window } = newWindow();
      window.receive(0, 100);
      expect(() => window.receiveEnd(total)).toThrow(expect.objectContaining({ code: "offset_mismatch" }));
    }
    const { window } = newWindow();
    window.receive(0, 100);
    window.receiveEnd(100);
  });
});

describe("when a WINDOW is worth a frame", () => {
  test("at first, when the reader took a quarter of the initial window", () => {
    const { window } = newWindow();
    expect(pass(window, 2 * KiB - 1)).toBe(false);
    expect(pass(window, 1)).toBe(true);
  });

  test("then, when an eighth of the window was taken", () => {
    const { window } = newWindow();
    lifted(window);
    expect(pass(window, 32 * KiB - 1)).toBe(false);
    expect(pass(window, 1)).toBe(true);
    window.grant(1, 1);
    expect(pass(window, 32 * KiB - 1)).toBe(false);
  });

  test("not because of bytes that never came", () => {
    const { window } = newWindow();
    window.receive(0, 10);
    expect(window.consume(1e9)).toBe(false);
    expect(window.unconsumed).toBe(0);
  });
});

describe("the limit", () => {
  test("first becomes the first real window beyond what was taken", () => {
    const { window } = newWindow();
    pass(window, 2 * KiB);
    expect(window.grant(0, undefined)).toBe((2 + 256) * KiB);
  });

  test("is absolute and counts what was taken, not what came", () => {
    const { window } = newWindow();
    const limit = lifted(window);
    window.receive(8 * KiB, 200 * KiB);
    window.consume(130 * KiB);
    expect(window.grant(0, 1)).toBe(limit + 130 * KiB);
    expect(window.unconsumed).toBe(70 * KiB);
  });

  test("is not announced again without a gain", () => {
    const { window } = newWindow();
    lifted(window);
    expect(window.grant(0, 1)).toBeUndefined();
    pass(window, 4 * KiB - 1);
    expect(window.grant(0, 1)).toBeUndefined();
    pass(window, 1);
    expect(window.grant(0, 1)).toBe((8 + 256 + 4) * KiB);
  });

  test("with equal sizes everywhere moves on with the reader", () => {
    const { window } = newWindow(0, { firstWindowBytes: 8 * KiB, maxWindowBytes: 8 * KiB });
    pass(window, 4 * KiB);
    expect(window.grant(0, 1)).toBe(12 * KiB);
    pass(window, 8 * KiB);
    expect(window.grant(100, 1)).toBe(20 * KiB);
  });

  test("with windows of one byte still moves on", () => {
    const { window } = newWindow(0, { initialWindowBytes: 1, firstWindowBytes: 1, maxWindowBytes: 1 });
    for (let i = 1; i < 10; i += 1) {
      expect(pass(window, 1)).toBe(true);
      expect(window.grant(i, 1)).toBe(i + 1);
    }
  });
});

describe("growth", () => {
  /** A reader that takes all that the window allows once each round trip, for `rounds` rounds. */
  function saturate(window: ReceiveWindow, rounds: number, rttMs: number, minRttMs = rttMs): number[] {
    let limit = lifted(window);
    const targets: number[] = [];
    for (let i = 1; i <= rounds; i += 1) {
      pass(window, limit - window.received);
      limit = window.grant(i * rttMs, minRttMs) ?? limit;
      targets.push(window.target / KiB);
    }
    return targets;
  }

  test("is four times what a round trip took while that rises, up to the largest", () => {
    // As if each were seen at once; over a line it is seen a round trip later, which makes twice of it (distance.test.ts).
    expect(saturate(newWindow().window, 4, 50)).toEqual([1024, 4096, 4096, 4096]);
  });

  test("goes by the minimum round trip: a path that is full does not look longer", () => {
    // Each round takes 50 ms, but the path itself only 5: a tenth of the bytes in a round is what the path holds.
    expect(saturate(newWindow().window, 6, 50, 5)).toEqual([256, 256, 256, 256, 256, 256]);
  });

  test("counts a path shorter than a turn of an event loop as 5 ms", () => {
    expect(saturate(newWindow().window, 2, 5, 0.01)).toEqual([1024, 4096]);
    expect(saturate(newWindow().window, 2, 5, undefined)).toEqual([1024, 4096]);
  });

  test("stops at four times what a slow reader takes in a round trip", () => {
    const { window } = newWindow();
    lifted(window);
    let now = 0;
    for (let i = 0; i < 50; i += 1) {
      now += 10;
      pass(window, 40 * KiB); // 4 KiB a ms
      window.grant(now, 100);
    }
    // One path of 100 ms takes 400 KiB, which was more than nothing at first.
    expect(window.target).toBe(4 * 400 * KiB);
  });

  test("is twice what a round trip took when that rises no more, or little", () => {
    const { window } = newWindow();
    lifted(window);
    let now = 0;
    for (const each of [10, 12, 14, 17, 20, 24, 28, 34, 40, 48, 58, 70, 84, 100, 120]) {
      now += 100;
      pass(window, each * KiB);
      window.grant(now, 100);
    }
    expect(window.target).toBe(256 * KiB); // which is more than twice 120
    now += 100;
    pass(window, 140 * KiB);
    window.grant(now, 100);
    expect(window.target).toBe(2 * 140 * KiB);
  });

  test("never shrinks when the reader becomes slow or stops", () => {
    const { window } = newWindow();
    saturate(window, 4, 50);
    const { target } = window;
    for (let i = 0; i < 20; i += 1) {
      pass(window, 10);
      window.grant(1000 + i * 1000, 50);
      expect(window.target).toBe(target);
    }
  });

  test("takes no measure over less than a path", () => {
    const { window } = newWindow();
    lifted(window, 1000);
    pass(window, 200 * KiB);
    window.grant(1000.001, 50);
    expect(window.target).toBe(256 * KiB);
  });
});

describe("the budget", () => {
  test("is charged for what is promised beyond the initial window, no more and no less", () => {
    const { window, budget } = newWindow();
    expect(budget.used).toBe(0);
    lifted(window);
    expect(budget.used).toBe(248 * KiB);
    pass(window, 100 * KiB);
    expect(budget.used).toBe(148 * KiB);
    window.grant(1, 1);
    expect(budget.used).toBe(248 * KiB);
    window.receive(window.received, 50 * KiB); // not taken: still a place in memory
    expect(budget.used).toBe(248 * KiB);
  });

  test("under pressure gives one stream a quarter of what is free, so that later ones find something", () => {
    const budget = new ReceiveBudget(64 * KiB);
    const streams = Array.from({ length: 20 }, () => new ReceiveWindow(OPTIONS, budget));
    const gains = streams.map((window) => lifted(window) - 16 * KiB);
    expect(gains.slice(0, 3)).toEqual([16 * KiB, 12 * KiB, 9 * KiB]);
    for (const gain of gains) expect(gain).toBeGreaterThanOrEqual(0);
    expect(budget.used).toBe(gains.reduce((sum, gain) => sum + gain, 0));
    expect(budget.used).toBeLessThanOrEqual(64 * KiB);
  });

  test("that is used up leaves the initial window, and that keeps a stream moving", () => {
    const { window, budget } = newWindow(0);
    let limit = 8 * KiB;
    for (let i = 0; i < 1000; i += 1) {
      expect(limit - window.received).toBeGreaterThan(4 * KiB);
      if (pass(window, 1 + ((i * 977) % (limit - window.received)))) limit = window.grant(i, 1) ?? limit;
      expect(limit).toBeLessThanOrEqual(window.received + 8 * KiB);
    }
    expect(window.received).toBeGreaterThan(1000 * KiB);
    expect(budget.used).toBe(0);
  });

  test("what was promised is never taken back, however little is free", () => {
    const { window, budget } = newWindow(300 * KiB);
    const limit = lifted(window);
    budget.reserve(budget.free + 1000 * KiB); // others took everything, and more
    expect(window.grant(10, 1)).toBeUndefined();
    window.receive(window.received, limit - window.received);
    window.consume(100 * KiB);
    const next = window.grant(20, 1);
    expect(next === undefined || next > limit).toBe(true);
  });

  test("gets everything back when the stream ends and is read", () => {
    const { window, budget } = newWindow();
    lifted(window);
    window.receive(window.received, 100 * KiB);
    window.receiveEnd(108 * KiB);
    expect(budget.used).toBe(92 * KiB); // unread bytes beyond the initial window
    window.consume(92 * KiB);
    expect(budget.used).toBe(0);
    window.consume(8 * KiB);
    expect(budget.used).toBe(0);
  });

  test("gets everything back at once when nobody will read the rest", () => {
    const { window, budget } = newWindow();
    const limit = lifted(window);
    window.receive(window.received, 100 * KiB);
    window.abandon();
    expect(budget.used).toBe(0);
    window.receive(window.received, limit - window.received);
    expect(() => window.receive(window.received, 1)).toThrow(
      expect.objectContaining({ code: "window_exceeded" }),
    );
    expect(() => window.receiveEnd(0)).toThrow(expect.objectContaining({ code: "offset_mismatch" }));
    window.receiveEnd(limit);
    window.consume(limit);
    expect(budget.used).toBe(0);
  });

  test("is never overdrawn, never loses a byte, and no stream stands still, in any order of events", () => {
    const event = fc.record({
      stream: fc.nat({ max: 4 }),
      what: fc.constantFrom("receive", "receive", "consume", "consume", "grant", "release", "end", "abandon"),
      permille: fc.nat({ max: 1000 }),
      wait: fc.nat({ max: 40 }),
    });
    const sizes = fc.constantFrom<typeof OPTIONS>(
      { initialWindowBytes: 1, firstWindowBytes: 1, maxWindowBytes: 1 },
      { initialWindowBytes: 3, firstWindowBytes: 100, maxWindowBytes: 1000 },
      { initialWindowBytes: 100, firstWindowBytes: 100, maxWindowBytes: 10_000 },
      { initialWindowBytes: 1000, firstWindowBytes: 5000, maxWindowBytes: 100_000 },
    );
    holds(
      fc.property(
        fc.array(event, { maxLength: 200 }),
        sizes,
        fc.nat({ max: 20_000 }),
        (events, options, total) => {
          const budget = new ReceiveBudget(total);
          const streams = Array.from({ length: 5 }, () => ({
            window: new ReceiveWindow(options, budget),
            limit: options.initialWindowBytes,
            ended: false,
            abandoned: false,
          }));
          let now = 0;
          for (const { stream, what, permille, wait } of events) {
            now += wait;
            const s = streams[stream] as (typeof streams)[number];
            if (what === "receive" && !s.ended) {
              const length = Math.floor(((s.limit - s.window.received) * permille) / 1000);
              s.window.receive(s.window.received % 2 ** 32, length);
            } else if (what === "consume") {
              s.window.consume(Math.ceil((s.window.unconsumed * permille) / 1000));
            } else if (what === "grant" && !s.ended && !s.abandoned) {
              const before = s.limit;
              s.limit = s.window.grant(now, 5) ?? s.limit;
              expect(s.limit).toBeGreaterThanOrEqual(before);
            } else if (what === "release" && !s.ended) {
              s.window.release(s.limit);
              s.limit = Math.min(s.limit, s.window.received + options.initialWindowBytes);
            } else if (what === "end" && !s.ended) {
              s.window.receiveEnd(s.window.received);
              s.ended = true;
              s.limit = s.window.received;
            } else if (what === "abandon") {
              s.window.abandon();
              s.abandoned = true;
            }
            const owed = streams.reduce((sum, one) => {
              const taken = one.window.received - one.window.unconsumed;
              return sum + (one.abandoned ? 0 : Math.max(0, one.limit - taken - options.initialWindowBytes));
            }, 0);
            expect(budget.used).toBe(owed);
            expect(budget.used).toBeLessThanOrEqual(total);
          }
          // A reader that takes everything always gets its peer going again.
          for (const s of streams) {
            if (s.ended || s.abandoned) continue;
            if (s.window.consume(s.window.unconsumed)) s.limit = s.window.grant(now, 5) ?? s.limit;
            expect(s.limit - s.window.received).toBeGreaterThan(0);
          }
        },
      ),
    );
  });
});
