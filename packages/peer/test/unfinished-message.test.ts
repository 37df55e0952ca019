import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { PieceRoom } from "../src/piece-room.ts";
import { UnfinishedMessage } from "../src/unfinished-message.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

function unfinished(room = new PieceRoom()) {
  const givenUp = vi.fn();
  return { message: new UnfinishedMessage(givenUp, room), givenUp, room };
}

/** A byte in every `everyMs`, for `forMs`. */
function dribble(message: UnfinishedMessage, everyMs: number, forMs: number): void {
  for (let at = 0; at < forMs; at += everyMs) {
    message.chunk(1);
    vi.advanceTimersByTime(everyMs);
  }
}

describe("a message that does not become whole", () => {
  test("is given up after 10 s, however often a byte of it comes", () => {
    const { message, givenUp } = unfinished();
    dribble(message, 500, 10_000);
    expect(givenUp).not.toHaveBeenCalled();
    dribble(message, 500, 1500);
    expect(givenUp).toHaveBeenCalledTimes(1);
    dribble(message, 500, 60_000);
    expect(givenUp).toHaveBeenCalledTimes(1);
  });

  test("and after one more second for each KiB: a bad line brings a large frame, late", () => {
    const { message, givenUp } = unfinished();
    // 64 KiB at 16 kbit/s, with a stop of 8 s on the way.
    for (let n = 0; n < 33; n += 1) {
      message.chunk(2048);
      vi.advanceTimersByTime(n === 16 ? 9000 : 1000);
    }
    message.ended();
    message.chunk(100);
    vi.advanceTimersByTime(600_000);
    expect(givenUp).not.toHaveBeenCalled();
    message.chunk(1024);
    dribble(message, 1000, 10_000);
    expect(givenUp).not.toHaveBeenCalled();
    dribble(message, 1000, 4000);
    expect(givenUp).toHaveBeenCalledTimes(1);
  });

  test("messages in many chunks one after the other are as many messages", () => {
    const { message, givenUp } = unfinished();
    for (let n = 0; n < 100; n += 1) {
      dribble(message, 1000, 9000);
      message.ended();
      message.chunk(1);
    }
    expect(givenUp).not.toHaveBeenCalled();
  });

  test("a pause counts for 5 s: what comes behind it may be the rest", () => {
    const { message, givenUp } = unfinished();
    message.chunk(500);
    vi.advanceTimersByTime(24_000); // a process that stood still, or a line
    message.chunk(500);
    message.ended();
    message.chunk(100);
    expect(givenUp).not.toHaveBeenCalled();
    dribble(message, 24_000, 4 * 24_000);
    expect(givenUp).toHaveBeenCalledTimes(1);
  });

  test("counts in the room from its 65th piece on, until it ends", () => {
    const { message, room } = unfinished();
    for (let n = 0; n < 64; n += 1) message.chunk(1);
    expect(room.pieces).toBe(0);
    message.chunk(1);
    expect(room.pieces).toBe(65);
    message.ended();
    message.chunk(1);
    expect(room.pieces).toBe(0);
    for (let n = 0; n < 70; n += 1) message.chunk(1);
    expect(room.pieces).toBe(70);
    message.close();
    expect(room.pieces).toBe(0);
  });

  test("goes when all together have too many pieces and it has most of them; a frame in single bytes passes", () => {
    const room = new PieceRoom();
    const honest = unfinished(room);
    for (let n = 0; n < 65_536 + 20; n += 1) honest.message.chunk(1);
    expect(honest.givenUp).not.toHaveBeenCalled();
    honest.message.ended();
    honest.message.chunk(1);
    const others = Array.from({ length: 10 }, () => unfinished(room));
    for (let n = 0; n < 7000; n += 1) for (const { message } of others) message.chunk(1);
    expect(room.pieces).toBeLessThanOrEqual(65_536 + 1024);
    expect(others.filter(({ givenUp }) => givenUp.mock.calls.length > 0).length).toBe(1);
  });
});
