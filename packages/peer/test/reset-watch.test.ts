import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { resetWatch } from "../src/reset-watch.ts";
import { closing, eventOf, visit } from "./support/sockets.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("reset watch", () => {
  test("has one timer, and none when there is nothing to watch", async () => {
    const [one, two] = await Promise.all([visit(), visit()]);
    const onDead = vi.fn();
    resetWatch.watch(one.socket, onDead);
    resetWatch.watch(one.socket, onDead);
    resetWatch.watch(two.socket, onDead);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(10_000);
    expect(onDead).not.toHaveBeenCalled();
    resetWatch.unwatch(one.socket);
    expect(vi.getTimerCount()).toBe(1);
    resetWatch.unwatch(two.socket);
    resetWatch.unwatch(two.socket);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("tells of a reset once, with the system's error, and stops watching", async () => {
    const { app, socket } = await visit();
    const onDead = vi.fn((error: Error) => void socket.destroy(error));
    resetWatch.watch(socket, onDead);
    const closed = closing(app);
    app.resetAndDestroy();
    await closed;
    vi.advanceTimersByTime(3000);
    expect(onDead.mock.calls).toEqual([[expect.objectContaining({ code: "ECONNRESET" })]]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("says nothing of a connection that only ended, or that we ended", async () => {
    const { app, socket } = await visit();
    const onDead = vi.fn();
    resetWatch.watch(socket, onDead);
    app.end();
    vi.advanceTimersByTime(2000);
    socket.end();
    await eventOf(socket, "finish");
    vi.advanceTimersByTime(2000);
    expect(onDead).not.toHaveBeenCalled();
    resetWatch.unwatch(socket);
  });

  test("says nothing of a socket without a descriptor", async () => {
    const { socket } = await visit();
    const onDead = vi.fn();
    resetWatch.watch(socket, onDead);
    socket.destroy();
    await closing(socket);
    vi.advanceTimersByTime(2000);
    expect(onDead).not.toHaveBeenCalled();
    resetWatch.unwatch(socket);
  });
});
