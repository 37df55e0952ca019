import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Backoff, ladderDelay } from "../src/backoff.ts";
import { RETRY_DEFAULTS, type ResolvedRetryOptions } from "../src/retry-options.ts";
import { scriptedRandom } from "./support/scripted-random.ts";

const almostOne = (): number => 0.999_999_999;

function delays(backoff: Backoff, count: number, request: { resumable: boolean; now?: number }): number[] {
  return Array.from({ length: count }, () => {
    const step = backoff.next({ now: request.now ?? 0, resumable: request.resumable });
    if (step.kind !== "dial") throw new Error(step.code);
    return step.delayMs;
  });
}

function backoffOf(changes: Partial<ResolvedRetryOptions>, random: () => number = almostOne): Backoff {
  return new Backoff({ ...RETRY_DEFAULTS, ...changes }, random);
}

/** One that has seen a session, so that a short one changes nothing. */
function onceOpened(): Backoff {
  const backoff = backoffOf({});
  backoff.opened(0);
  backoff.closed(0);
  return backoff;
}

describe("the ladder", () => {
  it("dials at once, then doubles up to 10 s without a session", () => {
    expect(delays(backoffOf({}), 8, { resumable: false })).toEqual([
      0, 500, 1000, 2000, 4000, 8000, 10_000, 10_000,
    ]);
  });

  it("stops at 1.8 s while a session can be resumed", () => {
    expect(delays(backoffOf({}), 6, { resumable: true })).toEqual([0, 500, 1000, 1800, 1800, 1800]);
  });

  it("draws full jitter for each wait anew, also for the first", () => {
    const backoff = backoffOf({ firstDelayMs: 100 }, scriptedRandom(0.5, 0, 0.25, 0.75));
    expect(delays(backoff, 4, { resumable: false })).toEqual([50, 0, 250, 1500]);
  });

  it("stays finite however often it fails", () => {
    const backoff = backoffOf({ factor: 100 });
    expect(delays(backoff, 3000, { resumable: false }).at(-1)).toBe(10_000);
  });

  it("never waits longer than the cap", () => {
    fc.assert(
      fc.property(
        fc.nat(200),
        fc.nat(10_000),
        fc.double({ min: 1, max: 10, noNaN: true }),
        fc.nat(60_000),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (step, baseMs, factor, capMs, draw) => {
          const delay = ladderDelay(step, { baseMs, factor, capMs }, () => draw);
          expect(delay).toBeGreaterThanOrEqual(0);
          expect(delay).toBeLessThanOrEqual(capMs);
        },
      ),
    );
  });
});

describe("the reset rule", () => {
  it("starts anew with the first session, and not with those that break soon after it", () => {
    const backoff = backoffOf({});
    delays(backoff, 4, { resumable: false });
    for (const delay of [0, 500, 1000, 1800]) {
      backoff.opened(1000);
      backoff.closed(1001);
      expect(delays(backoff, 1, { resumable: true, now: 1001 })).toEqual([delay]);
    }
  });

  it("starts anew after a transport that lived 5 s: the first redial is immediate", () => {
    const backoff = onceOpened();
    delays(backoff, 4, { resumable: false });
    backoff.opened(1000);
    backoff.closed(6_000);
    expect(delays(backoff, 2, { resumable: true, now: 6_000 })).toEqual([0, 500]);
  });

  it("goes on where it was after one that lived a millisecond less", () => {
    const backoff = onceOpened();
    delays(backoff, 2, { resumable: false });
    backoff.opened(1000);
    backoff.closed(5_999);
    expect(delays(backoff, 2, { resumable: true, now: 5_999 })).toEqual([1000, 1800]);
  });

  it("is not moved by a close without an open", () => {
    const backoff = backoffOf({});
    delays(backoff, 2, { resumable: false });
    backoff.closed(1_000_000);
    expect(delays(backoff, 1, { resumable: false, now: 1_000_000 })).toEqual([1000]);
  });
});

describe("Retry-After", () => {
  it("is waited for in full, and the jitter comes on top", () => {
    const backoff = backoffOf({}, () => 0.5);
    backoff.next({ now: 0, resumable: false });
    expect(backoff.next({ now: 0, resumable: false, retryAfterMs: 7000 })).toEqual({
      kind: "dial",
      delayMs: 7250,
    });
  });

  it("counts up to its cap", () => {
    const step = backoffOf({ retryAfterCapMs: 5000 }).next({
      now: 0,
      resumable: false,
      retryAfterMs: 86_400_000,
    });
    expect(step).toEqual({ kind: "dial", delayMs: 5000 });
  });

  it("counts up to 10 s while a session can be resumed: its grace runs, and visitors wait", () => {
    const backoff = backoffOf({});
    const request = { now: 0, resumable: true, retryAfterMs: 86_400_000 };
    expect(backoff.next(request)).toEqual({ kind: "dial", delayMs: 10_000 });
    expect(backoffOf({ retryAfterCapMs: 5000 }).next(request)).toEqual({ kind: "dial", delayMs: 5000 });
  });
});

describe("giving up", () => {
  it("allows exactly maxAttempts dials in a row", () => {
    const backoff = backoffOf({ maxAttempts: 3 });
    delays(backoff, 3, { resumable: false });
    expect(backoff.next({ now: 0, resumable: false })).toEqual({
      kind: "give_up",
      code: "attempts_exhausted",
    });
  });

  it("counts attempts from the last open session, however short it was", () => {
    const backoff = backoffOf({ maxAttempts: 2 });
    delays(backoff, 2, { resumable: false });
    backoff.opened(10);
    backoff.closed(11);
    expect(backoff.attempts).toBe(0);
    delays(backoff, 2, { resumable: true });
    expect(backoff.next({ now: 11, resumable: true })).toEqual({
      kind: "give_up",
      code: "attempts_exhausted",
    });
  });

  it("begins no dial later than maxElapsedMs after the start", () => {
    const backoff = backoffOf({ maxElapsedMs: 1500 });
    expect(backoff.next({ now: 100, resumable: false })).toEqual({ kind: "dial", delayMs: 0 });
    expect(backoff.next({ now: 1100, resumable: false })).toEqual({ kind: "dial", delayMs: 500 });
    expect(backoff.next({ now: 1600, resumable: false })).toEqual({
      kind: "give_up",
      code: "deadline_exhausted",
    });
  });

  it("counts the time from the loss of the last session", () => {
    const backoff = backoffOf({ maxElapsedMs: 1000 });
    backoff.next({ now: 0, resumable: false });
    backoff.opened(500);
    backoff.closed(90_000);
    expect(backoff.next({ now: 90_000, resumable: true })).toEqual({ kind: "dial", delayMs: 0 });
    expect(backoff.next({ now: 91_000, resumable: true })).toEqual({
      kind: "give_up",
      code: "deadline_exhausted",
    });
  });
});
