import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Liveness } from "../src/liveness.ts";
import { holds } from "./support/property.ts";

const OPTIONS = { pingIntervalMs: 10_000, silenceMs: 25_000, stallMs: 30_000, random: () => 0.5 };

function attached(options: Partial<typeof OPTIONS> = {}, now = 0): Liveness {
  const liveness = new Liveness({ ...OPTIONS, ...options });
  liveness.attach(now);
  return liveness;
}

describe("pings", () => {
  test("one is due as soon as a transport is attached, and then none until the next is", () => {
    const liveness = attached();
    expect(liveness.pingDue).toBe(true);
    liveness.takePing(0);
    expect(liveness.pingDue).toBe(false);
    expect(liveness.nextDeadline(false)).toBe(10_000);
    expect(liveness.check(9_999, false)).toBeUndefined();
    expect(liveness.pingDue).toBe(false);
    liveness.check(10_000, false);
    expect(liveness.pingDue).toBe(true);
  });

  test("come 0.9 to 1.1 intervals apart, as the random numbers say", () => {
    for (const [random, expected] of [
      [0, 9_000],
      [0.25, 9_500],
      [0.5, 10_000],
      [1 - 2 ** -53, 11_000],
    ] as const) {
      const liveness = attached({ random: () => random });
      liveness.takePing(500);
      expect(liveness.nextDeadline(false)).toBeCloseTo(500 + expected, 6);
    }
  });

  test("draw a new random number each", () => {
    const script = [0.5, 0, 0.75, 0.25];
    const liveness = attached({ random: () => script.shift() ?? 0.5 });
    const at: number[] = [];
    let now = 0;
    for (let i = 0; i < 3; i += 1) {
      liveness.takePing(now);
      liveness.heard(now);
      now = liveness.nextDeadline(false);
      liveness.check(now, false);
      at.push(now);
    }
    expect(at).toEqual([9_000, 19_500, 29_000]);
  });

  test("a due ping that cannot leave is no reason to wake up again", () => {
    const liveness = attached();
    expect(liveness.nextDeadline(false)).toBe(25_000);
  });

  test("carry tokens that differ, and start again behind 2^32 - 1", () => {
    const liveness = attached();
    const tokens = new Set(Array.from({ length: 1000 }, () => liveness.takePing(0)));
    expect(tokens.size).toBe(1000);
    for (const token of tokens) expect(token).toBeLessThan(2 ** 32);
  });

  test("nothing is due without a transport", () => {
    const liveness = new Liveness(OPTIONS);
    expect(liveness.nextDeadline(true)).toBe(Number.POSITIVE_INFINITY);
    expect(liveness.check(1e9, true)).toBeUndefined();
    liveness.attach(0);
    liveness.detach();
    expect(liveness.nextDeadline(true)).toBe(Number.POSITIVE_INFINITY);
    expect(liveness.check(1e9, true)).toBeUndefined();
  });
});

describe("pongs", () => {
  test("measure the round trip of the last ping", () => {
    const liveness = attached();
    const token = liveness.takePing(100);
    expect(liveness.pong(token, 142)).toBe(42);
  });

  test("say nothing when they answer another ping, none, or the same one again", () => {
    const liveness = attached();
    expect(liveness.pong(0, 1)).toBeUndefined();
    const first = liveness.takePing(0);
    const second = liveness.takePing(10);
    expect(liveness.pong(first, 20)).toBeUndefined();
    expect(liveness.pong(second, 30)).toBe(20);
    expect(liveness.pong(second, 40)).toBeUndefined();
  });

  test("of a former transport say nothing on a new one", () => {
    const liveness = attached();
    const token = liveness.takePing(0);
    liveness.detach();
    liveness.attach(1000);
    expect(liveness.pong(token, 1001)).toBeUndefined();
    expect(liveness.takePing(1002)).not.toBe(token);
  });
});

describe("silence", () => {
  test("of 25 s means that the transport is dead, not a millisecond less", () => {
    const liveness = attached({}, 1000);
    expect(liveness.check(25_999, false)).toBeUndefined();
    expect(liveness.check(26_000, false)).toBe("peer_silent");
  });

  test("begins anew with any byte", () => {
    const liveness = attached();
    liveness.heard(24_999);
    expect(liveness.check(25_000, false)).toBeUndefined();
    expect(liveness.check(49_998, false)).toBeUndefined();
    expect(liveness.check(49_999, false)).toBe("peer_silent");
  });

  test("is judged with the next deadline, whatever else is due", () => {
    const liveness = attached();
    liveness.takePing(0);
    const deadlines: number[] = [];
    for (let i = 0; i < 3; i += 1) {
      const now = liveness.nextDeadline(false);
      deadlines.push(now);
      if (liveness.check(now, false) !== undefined) break;
      liveness.takePing(now);
    }
    expect(deadlines).toEqual([10_000, 20_000, 25_000]);
  });

  test.each([25_100, 60_000])(
    "of a peer that was not asked, because the loop stood still from before the ping until %d, is asked for first",
    (woke) => {
      const liveness = attached();
      liveness.pong(liveness.takePing(0), 5);
      liveness.heard(5);
      expect(liveness.check(woke, false)).toBeUndefined();
      expect(liveness.pingDue).toBe(true);
      liveness.takePing(woke);
      expect(liveness.check(woke + 4999, false)).toBeUndefined();
      expect(liveness.check(woke + 5000, false)).toBe("peer_silent");
    },
  );

  test("of a peer that was asked late, because the loop stood still with the ping in its hands, is judged when it had time", () => {
    const liveness = attached();
    liveness.pong(liveness.takePing(0), 5);
    expect(liveness.check(10_000, false)).toBeUndefined();
    expect(liveness.pingDue).toBe(true);
    liveness.takePing(25_300); // it stood still between the two
    expect(liveness.check(25_301, false)).toBeUndefined();
    expect(liveness.nextDeadline(false)).toBeGreaterThan(25_301);
    expect(liveness.check(30_299, false)).toBeUndefined();
    expect(liveness.check(30_300, false)).toBe("peer_silent");
  });

  test("is asked about again after each standstill, also if the grace of the last one is just over", () => {
    const liveness = attached({ pingIntervalMs: 200, silenceMs: 3000 });
    liveness.pong(liveness.takePing(0), 5);
    liveness.heard(5);
    expect(liveness.check(3300, false)).toBeUndefined();
    liveness.pong(liveness.takePing(3300), 3305);
    liveness.heard(3305);
    // And once more from there on.
    expect(liveness.check(8400, false)).toBeUndefined();
    liveness.takePing(8400);
    expect(liveness.check(13_399, false)).toBeUndefined();
    expect(liveness.check(13_400, false)).toBe("peer_silent");
  });

  test("of a peer that talks and acknowledges nothing is none, and its stall is judged in the end", () => {
    const liveness = attached();
    liveness.progress(0);
    const verdicts: unknown[] = [];
    for (let now = 32_000; now < 36_000; now += 500) {
      liveness.heard(now);
      verdicts.push(liveness.check(now, true));
    }
    expect(verdicts.filter((verdict) => verdict !== undefined)[0]).toBe("transport_stalled");
    expect(verdicts.indexOf("transport_stalled")).toBe(2);
  });

  test.each(["cannot leave", "was not answered"])("of a peer is judged in time when a ping %s", (what) => {
    const liveness = attached();
    const token = liveness.takePing(0);
    if (what === "cannot leave") liveness.pong(token, 0);
    // Another one is due just then.
    else liveness.takePing(15_000);
    if (what === "cannot leave") expect(liveness.check(10_000, false)).toBeUndefined();
    expect(liveness.check(25_000, false)).toBe("peer_silent");
  });

  test("a clock that comes late reads first: only a second look, a second later, kills", () => {
    const liveness = attached();
    expect(liveness.check(60_000, false)).toBeUndefined();
    expect(liveness.nextDeadline(false)).toBe(61_000);
    expect(liveness.check(60_500, false)).toBeUndefined();
    expect(liveness.check(61_000, false)).toBe("peer_silent");
  });

  test("bytes that were read after a late clock save the transport", () => {
    const liveness = attached();
    liveness.check(60_000, false);
    liveness.heard(60_001);
    expect(liveness.check(61_000, false)).toBeUndefined();
    expect(liveness.check(85_000, false)).toBeUndefined();
    expect(liveness.check(85_001, false)).toBe("peer_silent");
  });

  test("a clock late by up to a second judges at once", () => {
    expect(attached().check(26_000, false)).toBe("peer_silent");
    expect(attached().check(26_001, false)).toBeUndefined();
  });

  test("a clock that is late again much later gets its second look again", () => {
    const liveness = attached();
    liveness.check(60_000, false);
    liveness.heard(60_001);
    expect(liveness.check(200_000, false)).toBeUndefined();
    expect(liveness.check(201_000, false)).toBe("peer_silent");
  });

  test("a new transport begins with a fresh silence", () => {
    const liveness = attached();
    liveness.check(60_000, false);
    liveness.detach();
    liveness.attach(100_000);
    expect(liveness.check(124_999, false)).toBeUndefined();
    expect(liveness.check(125_000, false)).toBe("peer_silent");
  });
});

describe("whatever the times are set to", () => {
  // A ping that falls due in the very moment of the judgement was not missed; the ones before it went unanswered.
  test("a transport that never answers is found dead when its silence is over, give or take a second look", () => {
    const times = fc
      .record({ interval: fc.integer({ min: 1, max: 40 }), more: fc.integer({ min: 1, max: 60 }) })
      .map(({ interval, more }) => ({ pingIntervalMs: interval * 500, silenceMs: (interval + more) * 500 }));
    holds(
      fc.property(times, fc.constantFrom(0, 0.5, 0.99), ({ pingIntervalMs, silenceMs }, random) => {
        const liveness = attached({ pingIntervalMs, silenceMs, random: () => random });
        let now = 0;
        while (now <= silenceMs + 1_000) {
          if (liveness.pingDue) liveness.takePing(now);
          now = Math.max(now, liveness.nextDeadline(false));
          if (liveness.check(now, false) !== undefined) return;
        }
        expect.unreachable(`still thought alive at ${now}`);
      }),
    );
  });
});

describe("a machine that slept", () => {
  test("asks at once and waits 5 s for any byte", () => {
    const liveness = attached();
    liveness.takePing(0);
    liveness.suspect(2_000);
    expect(liveness.pingDue).toBe(true);
    liveness.takePing(2_000);
    expect(liveness.nextDeadline(false)).toBe(7_000);
    expect(liveness.check(6_999, false)).toBeUndefined();
    expect(liveness.check(7_000, false)).toBe("peer_silent");
  });

  test("is satisfied by one byte", () => {
    const liveness = attached();
    liveness.suspect(2_000);
    liveness.heard(2_500);
    expect(liveness.check(7_000, false)).toBeUndefined();
    expect(liveness.check(27_500, false)).toBe("peer_silent");
  });

  test("does not lengthen a silence that is nearly over", () => {
    const liveness = attached();
    liveness.suspect(24_000);
    expect(liveness.check(25_000, false)).toBe("peer_silent");
  });

  test("has nothing to ask without a transport", () => {
    const liveness = new Liveness(OPTIONS);
    liveness.suspect(0);
    liveness.attach(1_000);
    expect(liveness.check(6_000, false)).toBeUndefined();
  });
});

describe("no progress", () => {
  /** Bytes keep coming, so silence is never the reason. */
  function busy(liveness: Liveness, until: number, inFlight: boolean): [number, string | undefined] {
    for (let now = 0; now <= until; now += 1_000) {
      liveness.heard(now);
      const failed = liveness.check(now, inFlight);
      if (failed !== undefined) return [now, failed];
    }
    return [until, undefined];
  }

  test("for 30 s with something in flight gives the transport up although bytes arrive", () => {
    expect(busy(attached(), 100_000, true)).toEqual([30_000, "transport_stalled"]);
  });

  test("does not matter with nothing in flight", () => {
    expect(busy(attached(), 100_000, false)).toEqual([100_000, undefined]);
  });

  test("counts from the last ack, or from what went into an empty flight", () => {
    const liveness = attached();
    liveness.progress(20_000);
    expect(liveness.nextDeadline(true)).toBe(25_000);
    liveness.heard(24_000);
    expect(liveness.nextDeadline(true)).toBe(49_000);
    expect(liveness.check(49_000, true)).toBe("peer_silent");
    expect(busy(liveness, 100_000, true)).toEqual([50_000, "transport_stalled"]);
  });

  test("stands among the deadlines only while something is in flight", () => {
    const liveness = attached({ silenceMs: 100_000 });
    liveness.takePing(0);
    liveness.check(10_000, false); // a ping is due and out of the way
    expect(liveness.nextDeadline(true)).toBe(30_000);
    expect(liveness.nextDeadline(false)).toBe(100_000);
  });

  // Acks of a whole stall may wait in the kernel, just as the bytes that end a silence may.
  test("is not judged by a clock that comes late, before it could read", () => {
    const liveness = attached();
    liveness.heard(10_000);
    expect(liveness.check(60_000, true)).toBeUndefined();
  });
});

describe("any sequence of events", () => {
  test("never judges a transport that was heard within the silence, and finds a dead one by its deadlines alone", () => {
    const event = fc.record({
      wait: fc.nat({ max: 30_000 }),
      what: fc.constantFrom("heard", "check", "ping", "suspect"),
    });
    holds(
      fc.property(
        fc.array(event, { maxLength: 60 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (events, r) => {
          const liveness = attached({ random: () => r });
          let now = 0;
          let lastHeard = 0;
          let suspected = false;
          let dead = false;
          for (const { wait, what } of events) {
            now += wait;
            if (what === "heard") {
              liveness.heard(now);
              lastHeard = now;
              suspected = false;
            } else if (what === "ping") liveness.takePing(now);
            else if (what === "suspect") {
              liveness.suspect(now);
              suspected = true;
            } else if (liveness.check(now, false) !== undefined) {
              expect(suspected || now - lastHeard >= 25_000).toBe(true);
              dead = true;
              break;
            }
          }
          // From here on nothing comes: following the deadlines must find that within a silence and a second look.
          const quietSince = now;
          while (!dead) {
            const next = Math.max(now, liveness.nextDeadline(false));
            now = next;
            dead = liveness.check(now, false) !== undefined;
            if (liveness.pingDue) liveness.takePing(now);
            expect(now - quietSince).toBeLessThanOrEqual(26_000);
          }
        },
      ),
    );
  });
});
