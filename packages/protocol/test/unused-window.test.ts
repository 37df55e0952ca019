import { describe, expect, test } from "vitest";
import { encodeAccept, encodeAck, encodeRelease, encodeWindow } from "../src/frame.ts";
import { describeFrame, LoneSession } from "./support/lone-session.ts";

const MiB = 1024 * 1024;

/** A stream that was granted a MiB at time 0. */
function granted(options = {}) {
  const lone = new LoneSession({ options: { pingIntervalMs: 100_000, silenceMs: 900_000, ...options } });
  const { stream } = lone.open();
  lone.takeMessages();
  lone.give(encodeAccept(1), encodeWindow(1, MiB), encodeAck(1));
  lone.takeMessages();
  return { lone, stream };
}

/** What leaves until then, RELEASE and DATA only. */
function leavesUntil(lone: LoneSession, time: number): string[] {
  const left: string[] = [];
  while (lone.session.nextDeadline <= time) {
    lone.now = Math.max(lone.now, lone.session.nextDeadline);
    lone.session.handleDeadline(lone.now);
    left.push(...lone.takeFrames().map(describeFrame));
  }
  lone.now = time;
  return left;
}

describe("a window that is not used", () => {
  test("is given back after 5 s, once", () => {
    const { lone } = granted();
    expect(leavesUntil(lone, 4999)).toEqual([]);
    expect(leavesUntil(lone, 5001)).toEqual([`RELEASE 1 ${MiB}`]);
    expect(leavesUntil(lone, 60_000)).toEqual([]);
  });

  test("is given back 5 to 10 s after the last byte, and only what is beyond the initial one", () => {
    const { lone, stream } = granted();
    leavesUntil(lone, 3000);
    stream.write(new Uint8Array(1000));
    expect(lone.sent()).toBe("DATA 1 @0 1000");
    expect(leavesUntil(lone, 8000)).toEqual([]);
    expect(leavesUntil(lone, 13_000)).toEqual([`RELEASE 1 ${MiB}`]);
    stream.write(new Uint8Array(20_000));
    expect(lone.sent()).toBe("DATA 1 @1000 8192"); // the initial window
    lone.give(encodeWindow(1, MiB));
    expect(lone.sent()).toBe("DATA 1 @9192 11808");
    expect(leavesUntil(lone, 30_000)).toEqual([`RELEASE 1 ${MiB}`]);
  });

  test("is kept while there is something to send into it, however long the transport is full", () => {
    const { lone, stream } = granted();
    stream.write(new Uint8Array(500_000));
    const left = leavesUntil(lone, 20_000);
    expect(stream.writableBytes).toBeGreaterThan(0);
    expect(left.filter((line) => line.startsWith("RELEASE"))).toEqual([]);
  });

  test("is kept by who has ended, reset, or never got more than the initial one", () => {
    for (const act of ["end", "reset"] as const) {
      const { lone, stream } = granted();
      if (act === "end") stream.end();
      else stream.reset("cancelled");
      expect(lone.sent()).toMatch(/END|RESET/);
      expect(leavesUntil(lone, 20_000)).toEqual([]);
    }
    const lone = new LoneSession();
    lone.open();
    lone.takeMessages();
    lone.give(encodeAccept(1), encodeWindow(1, 8192), encodeAck(1));
    expect(leavesUntil(lone, 20_000).filter((line) => line.startsWith("RELEASE"))).toEqual([]);
  });

  test("is given back as soon as there is a transport again; the time without one does not count", () => {
    const { lone } = granted();
    leavesUntil(lone, 2000);
    lone.detach();
    leavesUntil(lone, 20_000);
    lone.attach(1);
    expect(leavesUntil(lone, 22_900)).toEqual([]);
    expect(leavesUntil(lone, 23_100)).toEqual([`RELEASE 1 ${MiB}`]);
  });

  test("is kept for ever with unusedWindowMs 0", () => {
    const { lone } = granted({ unusedWindowMs: 0 });
    expect(leavesUntil(lone, 90_000)).toEqual([]);
  });

  test("does not move the deadline of an open that was granted a window before its answer", () => {
    const lone = new LoneSession({ options: { openTimeoutMs: 1000 } });
    const { handler } = lone.open();
    lone.takeMessages();
    lone.give(encodeAck(1), encodeWindow(1, MiB));
    lone.advanceTo(1001);
    expect(handler.heard()).toBe("reset open_timeout");
  });
});

test("what the peer gives back is free for other streams", () => {
  const lone = new LoneSession({ role: "server" });
  const { stream } = lone.accept(1);
  const window = () => lone.session.counters.windowBytes;
  lone.give(Uint8Array.from([4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, ...new Uint8Array(8000)]));
  stream.consumed(8000);
  const [, limit] = lone.sent().match(/WINDOW 1 (\d+)/) ?? [];
  expect(window()).toBeGreaterThan(200_000);
  lone.give(encodeRelease(1, Number(limit)));
  expect(window()).toBe(0);
});
