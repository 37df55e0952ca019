import { once } from "node:events";
import { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { resetSocket } from "../src/carried-socket.ts";
import { closing, storyOf, visit } from "./support/sockets.ts";

describe("reset", () => {
  test("is a RST, with writes waiting too", async () => {
    for (const bytes of [0, 20_000_000]) {
      const { app, socket } = await visit();
      const story = storyOf(app);
      app.resume();
      if (bytes > 0) socket.write(new Uint8Array(bytes));
      resetSocket(socket);
      await closing(app);
      expect(story).toEqual(["ECONNRESET", "close"]);
      expect(socket.destroyed).toBe(true);
    }
  });

  // libuv refuses to reset while a shutdown is under way, and Node then leaks the descriptor and never emits 'close'.
  test.each([
    ["in the same turn", (run: () => void) => run()],
    ["a tick later", (run: () => void) => process.nextTick(run)],
    ["a microtask later", (run: () => void) => queueMicrotask(run)],
    ["a turn later", (run: () => void) => setImmediate(run)],
  ])("after a write and an end, %s", async (_when, later) => {
    const { app, socket } = await visit();
    app.resume();
    socket.resume();
    const story = storyOf(socket);
    const closed = closing(socket);
    socket.write("x");
    socket.end();
    later(() => resetSocket(socket));
    await closed;
    expect(story).toEqual(["close"]);
  });

  test("after an end that is done", async () => {
    const { app, socket } = await visit();
    app.resume();
    socket.end("x");
    await once(socket, "finish");
    const closed = closing(socket);
    resetSocket(socket);
    await closed;
  });

  test("with an end behind writes that wait", async () => {
    const { app, socket } = await visit();
    const story = storyOf(app);
    socket.write(new Uint8Array(20_000_000));
    socket.end();
    setImmediate(() => resetSocket(socket));
    await closing(socket);
    app.resume();
    await closing(app);
    expect(story).toEqual(["ECONNRESET", "close"]);
  });

  test("of what is reset, destroyed, closed, or not yet connected does nothing more, and never throws", async () => {
    const { app, socket } = await visit();
    app.resume();
    const closed = closing(socket);
    resetSocket(socket);
    resetSocket(socket);
    await closed;
    resetSocket(socket);
    const other = await visit();
    other.app.destroy();
    resetSocket(other.app);
    const unconnected = new Socket();
    resetSocket(unconnected);
    expect(unconnected.destroyed).toBe(true);
    const connecting = new Socket().connect({ host: "127.0.0.1", port: 1 });
    connecting.on("error", () => {});
    resetSocket(connecting);
    expect(connecting.destroyed).toBe(true);
  });
});

test("a paused socket holds one chunk and not 64 KiB of single bytes", async () => {
  const { app, socket } = await visit();
  const barrier = await visit();
  barrier.socket.on("data", (chunk) => barrier.socket.write(chunk));
  barrier.socket.resume();
  socket.resume();
  socket.pause();
  for (let round = 0; round < 5; round += 1) {
    app.write("x");
    // Whoever still read would have read it by the time that an echo came back elsewhere.
    barrier.app.write("x");
    await once(barrier.app, "data");
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(socket.readableLength).toBe(1);
});
