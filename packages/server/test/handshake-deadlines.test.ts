import type { Transport, TransportHandler } from "@culvert/peer";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Handshake } from "../src/handshake.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A transport whose peer does what the test does, and a handshake on it that may take 5 s. */
function begun() {
  const done: string[] = [];
  let handler: TransportHandler | undefined;
  const transport: Transport = {
    get handler() {
      return handler;
    },
    set handler(next) {
      handler = next;
    },
    highWaterBytes: 1,
    bufferedBytes: 0,
    send: () => void done.push("send"),
    cork: () => undefined,
    uncork: () => undefined,
    close: (code) => void done.push(`close ${code}`),
    terminate: () => void done.push("terminate"),
  };
  const failed: string[] = [];
  const handshake = new Handshake(transport, {
    timeoutMs: 5000,
    onHello: () => undefined,
    onFailed: ({ code }) => void failed.push(code),
  });
  return { handshake, done, failed, closed: () => handler?.onClose(1006, "") };
}

describe("a handshake that is refused", () => {
  test("is cut a second later if the peer does not close", () => {
    const { done, failed } = begun();
    vi.advanceTimersByTime(4999);
    expect(done).toEqual([]);
    vi.advanceTimersByTime(1);
    expect([done, failed]).toEqual([["send", "close 4408"], ["handshake_timeout"]]);
    vi.advanceTimersByTime(999);
    expect(done).toHaveLength(2);
    vi.advanceTimersByTime(1);
    expect(done).toEqual(["send", "close 4408", "terminate"]);
    expect(failed).toHaveLength(1);
  });

  test("is not if the peer does, and leaves no timer", () => {
    const { handshake, done, closed } = begun();
    handshake.refuse("session_unknown");
    closed();
    expect(vi.getTimerCount()).toBe(0);
    expect(done).toHaveLength(2);
  });
});
