import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LingerRoom } from "../src/linger-room.ts";
import { LingeringClose } from "../src/lingering-close.ts";
import { closing, eventOf, storyOf, type Visit, visit } from "./support/sockets.ts";

/** Everything is written and ended, and the kernel's buffers are full of it, as far as the application lets them. */
async function filled(): Promise<Visit & { readonly bytes: number; readonly got: () => number }> {
  const { app, socket } = await visit();
  let bytes = 0;
  while (socket.writableLength === 0) {
    socket.write(new Uint8Array(65_536));
    bytes += 65_536;
  }
  socket.end();
  let got = 0;
  app.on("data", (chunk) => {
    got += chunk.length;
  });
  app.pause();
  return { app, socket, bytes, got: () => got };
}

/** The application reads, a chunk in a turn, until the kernel has all of it, and not a chunk more. */
async function readUntilFinished({ app, socket }: Visit): Promise<void> {
  const pause = () => void app.pause();
  app.on("data", pause);
  while (socket.writableLength > 0) {
    app.resume();
    await new Promise((resolve) => setImmediate(resolve));
  }
  app.pause();
  app.off("data", pause);
  if (!socket.writableFinished) await eventOf(socket, "finish");
}

describe("lingering close", () => {
  test("what the kernel holds when the socket is closed still arrives, and then the end", async () => {
    const visited = await filled();
    const { app, socket, bytes, got } = visited;
    const story = storyOf(app);
    new LingeringClose(socket, { reset: false });
    await readUntilFinished(visited);
    await closing(socket);
    expect(got()).toBeLessThan(bytes);
    const ended = eventOf(app, "end");
    app.resume();
    await ended;
    expect(got()).toBe(bytes);
    expect(story).toEqual(["end"]);
  });

  test("with reset: a RST, although the kernel still holds some", async () => {
    const visited = await filled();
    const { app, socket, bytes, got } = visited;
    const story = storyOf(app);
    new LingeringClose(socket, { reset: true });
    await readUntilFinished(visited);
    await closing(socket);
    app.resume();
    await closing(app);
    expect(got()).toBeLessThan(bytes);
    expect(story).toEqual(["ECONNRESET", "close"]);
  });

  test("what the application sent meanwhile is not read, and makes it a RST", async () => {
    const visited = await filled();
    const { app, socket } = visited;
    socket.resume();
    new LingeringClose(socket, { reset: false });
    app.write("nobody wants this");
    const story = storyOf(app);
    await readUntilFinished(visited);
    await closing(socket);
    app.resume();
    await closing(app);
    expect(story).toEqual(["ECONNRESET", "close"]);
  });

  describe("with timers that stand still", () => {
    beforeEach(() => {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    });
    afterEach(() => {
      vi.useRealTimers();
    });

    test("an application that ends too is let go without waiting", async () => {
      const { app, socket } = await visit();
      app.resume();
      socket.end("all");
      new LingeringClose(socket, { reset: true });
      app.end();
      await closing(socket);
      expect(vi.getTimerCount()).toBe(0);
    });

    test("an application that never reads on is given up", async () => {
      const { socket } = await filled();
      const setTimeout = vi.spyOn(socket, "setTimeout");
      new LingeringClose(socket, { reset: false });
      expect(setTimeout).toHaveBeenCalledWith(30_000, expect.any(Function));
      const closed = closing(socket);
      socket.emit("timeout"); // Node's own timers of sockets cannot be faked
      await closed;
    });

    test("also one that reads a byte now and then, in the end", async () => {
      const { socket } = await filled();
      new LingeringClose(socket, { reset: false });
      const closed = closing(socket);
      vi.advanceTimersByTime(119_999);
      expect(socket.destroyed).toBe(false);
      vi.advanceTimersByTime(1);
      await closed;
      expect(vi.getTimerCount()).toBe(0);
    });

    test("has a place in the room until it is closed", async () => {
      const room = new LingerRoom();
      const { app, socket } = await visit();
      socket.end("all");
      const lingering = new LingeringClose(socket, { reset: false, heldBytes: 1000, room });
      expect([room.bytes, room.sockets]).toEqual([1000, 1]);
      lingering.holds(400);
      expect(room.bytes).toBe(400);
      await eventOf(socket, "finish");
      expect([room.bytes, room.sockets]).toEqual([0, 1]);
      app.resume();
      app.end();
      await closing(socket);
      expect(room.sockets).toBe(0);
    });

    test("for which there is no room any more is cut if it has bytes left, and closed if the kernel has all", async () => {
      const room = new LingerRoom(1000, 1);
      const stuck = await filled();
      new LingeringClose(stuck.socket, { reset: false, heldBytes: 1000, room });
      const done = await visit();
      const story = storyOf(done.app);
      done.socket.end("all");
      await eventOf(done.socket, "finish");
      new LingeringClose(done.socket, { reset: false, heldBytes: 0, room });
      await closing(stuck.socket);
      expect(stuck.socket.writableFinished).toBe(false);
      const third = await visit();
      new LingeringClose(third.socket, { reset: false, heldBytes: 0, room });
      await closing(done.socket);
      done.app.resume();
      await eventOf(done.app, "end");
      expect(story).toEqual(["end"]);
    });
  });
});
