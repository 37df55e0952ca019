import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { LingerRoom } from "../src/linger-room.ts";
import { silentLogger } from "../src/logger.ts";
import { type PipeResult, SocketPipe } from "../src/socket-pipe.ts";
import { RecordedStream } from "./support/recorded-stream.ts";
import { closing, pattern, readAll, storyOf, until, visit } from "./support/sockets.ts";
import { PairedStream, type StreamPairOptions } from "./support/stream-pair.ts";

interface Piped {
  readonly pipe: SocketPipe;
  /** Never more than once. */
  readonly done: Promise<PipeResult>;
}

function pipeOf(socket: Socket, halfClosedTimeoutMs?: number): Piped {
  let settle: (result: PipeResult) => void;
  const done = new Promise<PipeResult>((resolve) => {
    settle = resolve;
  });
  const onDone = vi.fn((result: PipeResult) => settle(result));
  onTestFinished(() => expect(onDone.mock.calls.length).toBeLessThanOrEqual(1));
  const logger = silentLogger;
  const timeouts = halfClosedTimeoutMs === undefined ? {} : { halfClosedTimeoutMs };
  const options = { logger, onDone, timeouts };
  return { pipe: new SocketPipe(socket, options), done };
}

/** left application <-> pipe <-> stream <-> pipe <-> right application */
async function carried(options: StreamPairOptions = {}) {
  const [left, right] = await Promise.all([visit(), visit()]);
  const [leftStream, rightStream] = PairedStream.pair(options);
  const [leftPipe, rightPipe] = [pipeOf(left.socket), pipeOf(right.socket)];
  leftStream.handler = leftPipe.pipe;
  rightStream.handler = rightPipe.pipe;
  leftPipe.pipe.start(leftStream);
  rightPipe.pipe.start(rightStream);
  const done = Promise.all([leftPipe.done, rightPipe.done]);
  return { left: left.app, right: right.app, leftStream, rightStream, leftSocket: left.socket, done };
}

/** An application and a pipe whose stream is only recorded. */
async function recorded(listen?: string, halfClosedTimeoutMs?: number) {
  const { app, socket } = await visit(listen);
  const stream = new RecordedStream();
  const { pipe, done } = pipeOf(socket, halfClosedTimeoutMs);
  return { app, socket, stream, pipe, done };
}

/** Fills the kernel's buffers towards an application that does not read; returns how many bytes were given. */
function fill(pipe: SocketPipe, socket: Socket): number {
  let bytes = 0;
  while (socket.writableLength === 0) {
    pipe.onData(new Uint8Array(65_536));
    bytes += 65_536;
  }
  return bytes;
}

/** Only what the idle timer goes by: sockets are real. */
const IDLE_CLOCKS: ("setTimeout" | "clearTimeout" | "performance")[] = [
  "setTimeout",
  "clearTimeout",
  "performance",
];

afterEach(() => {
  vi.useRealTimers();
});

test("a stream whose end leaves after its socket has closed leaves no timer", async () => {
  const { app, socket, stream, pipe, done } = await recorded();
  pipe.start(stream);
  pipe.onEnd();
  app.resume();
  app.end();
  await closing(socket);
  const setTimer = vi.spyOn(globalThis, "setTimeout");
  pipe.onFinished(); // the END of this side waited for the link
  expect(setTimer).not.toHaveBeenCalled();
  setTimer.mockRestore();
  expect((await done).code).toBeUndefined();
});

describe("bytes", () => {
  test("10 MB each way at once through tiny windows", async () => {
    const bytes = 10_000_000;
    const { left, right, leftStream, rightStream, done } = await carried({
      windowBytes: 10_007,
      highWaterBytes: 5000,
      frameBytes: 1999,
    });
    const [up, down] = [pattern(bytes, 1), pattern(bytes, 2)];
    left.end(up);
    right.end(down);
    const [gotDown, gotUp] = await Promise.all([readAll(left), readAll(right)]);
    expect(gotUp.equals(up)).toBe(true);
    expect(gotDown.equals(down)).toBe(true);
    const whole = {
      code: undefined,
      cause: undefined,
      bytesIn: bytes,
      bytesOut: bytes,
      durationMs: expect.any(Number),
    };
    expect(await done).toEqual([whole, whole]);
    expect(leftStream.mostUnconsumed).toBeLessThanOrEqual(10_007);
    expect(rightStream.mostUnconsumed).toBeLessThanOrEqual(10_007);
    expect(leftStream.consumedBytes).toBe(bytes);
  }, 60_000);

  test("what the kernel takes at once is consumed at once", async () => {
    const { app, stream, pipe } = await recorded();
    pipe.start(stream);
    pipe.onData(Buffer.from("hello"));
    expect(stream.consumedBytes).toBe(5);
    expect((await once(app, "data")).toString()).toBe("hello");
  });

  test("bytes that come before the stream is known are written, and consumed when it is", async () => {
    const { app, stream, pipe } = await recorded();
    pipe.onData(Buffer.from("hello"));
    pipe.onData(Buffer.from(" there"));
    pipe.start(stream);
    expect(stream.consumedBytes).toBe(11);
    app.end("bye");
    await once(stream, "end");
    expect(Buffer.concat(stream.written).toString()).toBe("bye");
  });

  test("reads are long in a bulk transfer, and short while the session has much that waits; also of the fortieth socket", async () => {
    for (let n = 0; n < 40; n += 1) {
      const { app, stream, pipe, done } = await recorded();
      stream.isCrowded = n % 2 === 1;
      pipe.start(stream);
      app.write(pattern(2_000_000));
      await until(stream, "write", () => stream.writtenBytes === 2_000_000);
      const longest = Math.max(...stream.written.map(({ length }) => length));
      if (stream.isCrowded) expect(longest).toBeLessThanOrEqual(65_536);
      else expect(longest).toBeGreaterThan(65_536);
      pipe.onReset("cancelled", false);
      await done;
    }
  });

  test("a reader who stalls holds the sender back, and all arrives when it reads on", async () => {
    const windowBytes = 100_000;
    const { left, right, rightStream, leftSocket, done } = await carried({ windowBytes });
    right.pause();
    const sent = pattern(30_000_000);
    left.write(sent);
    await vi.waitFor(() => {
      expect(rightStream.received - rightStream.consumedBytes).toBe(windowBytes);
      expect(leftSocket.isPaused()).toBe(true);
    }, 30_000);
    expect(rightStream.mostUnconsumed).toBeLessThanOrEqual(windowBytes);
    expect(leftSocket.bytesRead).toBeLessThan(sent.length / 2);
    left.end();
    right.end();
    const got = readAll(right);
    left.resume();
    expect((await got).equals(sent)).toBe(true);
    expect((await done).map(({ code }) => code)).toEqual([undefined, undefined]);
  }, 60_000);

  test("200,000 frames of one byte behind a stalled reader are a few writes", async () => {
    const { app, socket, stream, pipe } = await recorded();
    app.pause();
    pipe.start(stream);
    const filler = fill(pipe, socket);
    expect(stream.consumedBytes).toBe(filler - 65_536);
    const write = vi.spyOn(socket, "write");
    const frame = new Uint8Array(65_536).fill(7);
    for (let count = 0; count < 200_000; count += 1)
      pipe.onData(frame.subarray(count % 1000, (count % 1000) + 1));
    expect(write).not.toHaveBeenCalled();
    expect(stream.consumedBytes).toBe(filler - 65_536);
    let tail = 0;
    app.on("data", (chunk: Buffer) => {
      for (const byte of chunk) tail += byte === 7 ? 1 : 0;
    });
    app.resume();
    await until(stream, "consumed", () => stream.consumedBytes === filler + 200_000);
    expect(write.mock.calls.length).toBeLessThan(16);
    await until(app, "data", () => tail === 200_000);
  });
});

describe("the end of one direction", () => {
  test.each(["left", "right"] as const)("%s ends first, and still reads a long answer", async (first) => {
    const { done, ...sides } = await carried();
    const [asks, answers] = first === "left" ? [sides.left, sides.right] : [sides.right, sides.left];
    const answer = pattern(5_000_000);
    asks.end("question");
    expect((await readAll(answers)).toString()).toBe("question");
    answers.end(answer);
    expect((await readAll(asks)).equals(answer)).toBe(true);
    expect((await done).map(({ code }) => code)).toEqual([undefined, undefined]);
  });

  test("both at once", async () => {
    const { left, right, done } = await carried();
    left.end("a");
    right.end("b");
    const got = await Promise.all([readAll(left), readAll(right)]);
    expect(got.map(String)).toEqual(["b", "a"]);
    expect((await done).map(({ code }) => code)).toEqual([undefined, undefined]);
  });

  test("without a byte", async () => {
    const { left, right, done } = await carried();
    const [leftEnd, rightEnd] = [once(left.resume(), "end"), once(right.resume(), "end")];
    left.end();
    await rightEnd;
    right.end();
    await leftEnd;
    const whole = {
      code: undefined,
      cause: undefined,
      bytesIn: 0,
      bytesOut: 0,
      durationMs: expect.any(Number),
    };
    expect(await done).toEqual([whole, whole]);
  });

  test("the end comes behind everything that waits for a slow reader", async () => {
    const { app, socket, stream, pipe, done } = await recorded();
    app.pause();
    pipe.start(stream);
    const filler = fill(pipe, socket);
    pipe.onData(pattern(100_000));
    pipe.onEnd();
    app.end();
    await once(stream, "end");
    pipe.onFinished();
    const got = await readAll(app);
    expect(got.length).toBe(filler + 100_000);
    expect(got.subarray(filler).equals(pattern(100_000))).toBe(true);
    expect((await done).bytesOut).toBe(got.length);
  });

  test("half-closed and without a byte for the limit: cut off", async () => {
    vi.useFakeTimers({ toFake: IDLE_CLOCKS });
    const { app, stream, pipe, done } = await recorded(undefined, 60_000);
    const story = storyOf(app);
    app.resume();
    pipe.start(stream);
    app.end();
    await once(stream, "end");
    vi.advanceTimersByTime(59_000);
    pipe.onData(Buffer.from("alive"));
    await once(app, "data");
    vi.advanceTimersByTime(60_000);
    expect(stream.resets).toEqual([]);
    vi.advanceTimersByTime(60_000);
    expect(stream.resets).toEqual(["idle_timeout"]);
    expect((await done).code).toBe("idle_timeout");
    await closing(app);
    expect(story).toEqual(["ECONNRESET", "close"]);
  });

  test("time without a transport does not count", async () => {
    vi.useFakeTimers({ toFake: IDLE_CLOCKS });
    const { app, stream, pipe } = await recorded(undefined, 60_000);
    pipe.start(stream);
    app.end();
    await once(stream, "end");
    vi.advanceTimersByTime(50_000);
    for (let second = 0; second < 300; second += 1) {
      stream.detachedMs += 1000;
      vi.advanceTimersByTime(1000);
    }
    vi.advanceTimersByTime(9000);
    expect(stream.resets).toEqual([]);
    vi.advanceTimersByTime(8500);
    expect(stream.resets).toEqual(["idle_timeout"]);
  });

  test("nor does time in which something waits for the transport; what leaves is a byte too", async () => {
    vi.useFakeTimers({ toFake: IDLE_CLOCKS });
    const { app, stream, pipe } = await recorded(undefined, 60_000);
    pipe.start(stream);
    app.end("bytes");
    await once(stream, "end");
    stream.isSendable = true;
    vi.advanceTimersByTime(300_000);
    stream.isSendable = false;
    stream.leftBytes = 3;
    vi.advanceTimersByTime(60_000);
    expect(stream.resets).toEqual([]);
    vi.advanceTimersByTime(60_000);
    expect(stream.resets).toEqual(["idle_timeout"]);
  });

  test("all has arrived and the session is over: the reader here has its time, and no more", async () => {
    vi.useFakeTimers({ toFake: IDLE_CLOCKS });
    const { app, socket, stream, pipe, done } = await recorded(undefined, 60_000);
    app.pause();
    pipe.start(stream);
    fill(pipe, socket);
    pipe.onEnd();
    app.end();
    await once(stream, "end");
    pipe.onFinished();
    stream.attachedMs = () => 0;
    vi.advanceTimersByTime(60_000);
    expect((await done).code).toBe("idle_timeout");
  });

  test("half-closed with 0 as the limit: for ever", async () => {
    vi.useFakeTimers({ toFake: IDLE_CLOCKS });
    const { app, stream, pipe } = await recorded(undefined, 0);
    pipe.start(stream);
    app.end();
    await once(stream, "end");
    vi.advanceTimersByTime(10 ** 9);
    expect(stream.resets).toEqual([]);
  });
});

describe("a reset of the local socket", () => {
  test("that follows data at once is never an end, 100 times", async () => {
    for (const bytes of [1, 1000, 65_536, 200_000]) {
      for (let round = 0; round < 25; round += 1) {
        const { app, stream, pipe, done } = await recorded();
        pipe.start(stream);
        app.write(new Uint8Array(bytes), () => app.resetAndDestroy());
        const result = await done;
        expect(stream.isEnded).toBe(false);
        expect(stream.resets).toEqual(["connection_reset"]);
        expect(result.code).toBe("connection_reset");
        expect((result.cause as NodeJS.ErrnoException).code).toBe("ECONNRESET");
      }
    }
  });

  test("arrives at the other application", async () => {
    const { left, right, done } = await carried();
    const story = storyOf(right);
    right.resume();
    left.write("last words", () => left.resetAndDestroy());
    await done;
    await closing(right);
    expect(story).toEqual(["ECONNRESET", "close"]);
  });

  test("that comes while the socket is paused is seen when reading goes on", async () => {
    const { app, socket, stream, pipe } = await recorded();
    stream.hasRoom = false;
    pipe.start(stream);
    app.write(new Uint8Array(10));
    await once(stream, "write");
    expect(socket.isPaused()).toBe(true);
    await new Promise<void>((resolve) => app.write(pattern(200_000), () => resolve()));
    const closed = closing(app);
    app.resetAndDestroy();
    await closed;
    stream.hasRoom = true;
    pipe.onWritable();
    await once(stream, "reset");
    expect(stream.isEnded).toBe(false);
  });

  test("that comes while the socket is paused is seen without reading, too", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const { app, stream, pipe, done } = await recorded();
    stream.hasRoom = false;
    pipe.start(stream);
    app.write(new Uint8Array(10));
    await once(stream, "write");
    vi.advanceTimersByTime(5000);
    expect(stream.resets).toEqual([]);
    await new Promise<void>((resolve) => app.write(new Uint8Array(1000), () => resolve()));
    const closed = closing(app);
    app.resetAndDestroy();
    await closed;
    vi.advanceTimersByTime(1000);
    expect(stream.resets).toEqual(["connection_reset"]);
    expect((await done).bytesIn).toBe(10);
  });

  test("behind an end takes nothing away from what came before the end", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const { app, stream, pipe } = await recorded();
    stream.hasRoom = false;
    pipe.start(stream);
    app.write(new Uint8Array(10));
    await once(stream, "write");
    await new Promise<void>((resolve) => app.end(new Uint8Array(100_000), () => resolve()));
    const closed = closing(app);
    app.resetAndDestroy();
    await closed;
    vi.advanceTimersByTime(5000);
    expect(stream.resets).toEqual([]);
    stream.hasRoom = true;
    pipe.onWritable();
    await once(stream, "end");
    expect(stream.writtenBytes).toBe(100_010);
    // Now nothing is left to read, so it may be said that nobody is there any more.
    vi.advanceTimersByTime(1000);
    expect(stream.resets).toEqual(["connection_reset"]);
  });

  test("after its end, while nothing is written to it", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const { app, stream, pipe, done } = await recorded();
    pipe.start(stream);
    app.end("question");
    await once(stream, "end");
    const closed = closing(app);
    app.resetAndDestroy();
    await closed;
    vi.advanceTimersByTime(1000);
    expect(stream.resets).toEqual(["connection_reset"]);
    await done;
  });

  test("while a write waits", async () => {
    const { app, socket, stream, pipe, done } = await recorded();
    app.pause();
    pipe.start(stream);
    stream.hasRoom = false;
    fill(pipe, socket);
    pipe.onData(pattern(100_000));
    app.resetAndDestroy();
    await once(stream, "reset");
    const { bytesOut } = await done;
    expect(stream.consumedBytes).toBe(bytesOut);
  });

  test("before there is a stream", async () => {
    const { app, socket, stream, pipe, done } = await recorded();
    app.resetAndDestroy();
    await closing(app);
    pipe.start(stream);
    expect((await done).code).toBe("connection_reset");
    expect(stream.resets.length).toBeGreaterThan(0);
    expect(stream.isEnded).toBe(false);
    expect(socket.closed).toBe(true);
  });

  test("a socket that was closed before there is a stream", async () => {
    const { app, socket, stream, pipe, done } = await recorded();
    app.resume();
    socket.destroy();
    await closing(socket);
    pipe.start(stream);
    expect(stream.resets).toEqual(["connection_reset"]);
    expect((await done).code).toBe("connection_reset");
  });

  test("a socket that somebody destroys without an error", async () => {
    const { app, socket, stream, pipe, done } = await recorded();
    app.resume();
    pipe.start(stream);
    socket.destroy();
    expect((await done).code).toBe("connection_reset");
    expect(stream.resets).toEqual(["connection_reset"]);
  });
});

describe("a reset of the stream", () => {
  test("reaches the application at once, with writes waiting", async () => {
    const { app, socket, stream, pipe, done } = await recorded();
    app.pause();
    pipe.start(stream);
    const bytes = fill(pipe, socket) + 100_000;
    pipe.onData(new Uint8Array(100_000));
    pipe.onReset("session_lost", false);
    expect(socket.destroyed).toBe(true);
    expect((await done).code).toBe("session_lost");
    const story = storyOf(app);
    let got = 0;
    app.on("data", (chunk) => {
      got += chunk.length;
    });
    app.resume();
    await closing(app);
    expect(story).toEqual(["ECONNRESET", "close"]);
    expect(got).toBeLessThan(bytes);
    expect(stream.resets).toEqual([]);
  });

  test("before there is a stream", async () => {
    const { app, stream, pipe, done } = await recorded();
    const story = storyOf(app);
    app.resume();
    pipe.onReset("target_refused", false);
    await closing(app);
    expect(story).toEqual(["ECONNRESET", "close"]);
    pipe.start(stream);
    expect((await done).code).toBe("target_refused");
  });

  test("after everything came: the application still gets all of it, and the end", async () => {
    const { app, socket, stream, pipe, done } = await recorded();
    const story = storyOf(app);
    app.pause();
    pipe.start(stream);
    const filler = fill(pipe, socket);
    pipe.onData(pattern(300_000));
    pipe.onEnd();
    pipe.onReset("session_lost", true);
    const got = await readAll(app);
    expect(got.length).toBe(filler + 300_000);
    expect(got.subarray(filler).equals(pattern(300_000))).toBe(true);
    expect((await done).code).toBe("session_lost");
    app.end();
    await closing(app);
    expect(story).toEqual(["end", "close"]);
  });

  test("after everything came: what waits has a place in the room, and goes when there is none", async () => {
    const { app, socket } = await visit();
    app.pause();
    const lingerRoom = new LingerRoom(1_000_000);
    const pipe = new SocketPipe(socket, { logger: silentLogger, lingerRoom });
    pipe.start(new RecordedStream());
    const filler = fill(pipe, socket);
    for (let n = 0; n < 12; n += 1) pipe.onData(pattern(65_536));
    pipe.onEnd();
    pipe.onReset("session_lost", true);
    expect(lingerRoom.bytes).toBe(13 * 65_536);
    const other = await visit();
    const rest = new SocketPipe(other.socket, { logger: silentLogger, lingerRoom });
    rest.start(new RecordedStream());
    fill(rest, other.socket);
    for (let n = 0; n < 12; n += 1) rest.onData(pattern(65_536));
    rest.onEnd();
    rest.onReset("session_lost", true);
    expect(lingerRoom.bytes).toBe(13 * 65_536);
    await closing(socket);
    expect(pipe.bytesOut).toBeLessThan(filler);
    other.app.resume();
    await closing(other.socket);
    expect([lingerRoom.bytes, lingerRoom.sockets]).toEqual([0, 0]);
    expect(rest.bytesOut).toBeGreaterThanOrEqual(13 * 65_536);
  });

  test("after everything came and in the turn of the end", async () => {
    const { app, stream, pipe, done } = await recorded();
    const story = storyOf(app);
    pipe.start(stream);
    pipe.onData(Buffer.from("all"));
    pipe.onEnd();
    pipe.onReset("session_lost", true);
    expect((await readAll(app)).toString()).toBe("all");
    await done;
    expect(story).toEqual(["end"]);
  });

  test("after everything came, while the application goes on sending: a reset in the end", async () => {
    const { app, stream, pipe, done } = await recorded();
    const story = storyOf(app);
    pipe.start(stream);
    pipe.onData(Buffer.from("all"));
    pipe.onEnd();
    expect((await readAll(app)).toString()).toBe("all");
    pipe.onReset("session_lost", true);
    app.write("too late");
    await done;
    // Node polls no socket whose end it has read, so the application meets the reset when it writes again.
    app.write("and later");
    await closing(app);
    expect(story).toEqual(["end", expect.stringMatching(/^(ECONNRESET|EPIPE)$/), "close"]);
    expect(stream.writtenBytes).toBe(0);
  });

  test("while the kernel is told of the end", async () => {
    const { app, socket, stream, pipe, done } = await recorded(undefined, 1);
    app.resume();
    pipe.start(stream);
    pipe.onEnd();
    // The reset must not fall into the same turn as the shutdown, or the descriptor leaks.
    socket.emit("error", new Error("made up"));
    expect((await done).code).toBe("connection_reset");
    expect(socket.closed).toBe(true);
  });
});

describe("Unix sockets", () => {
  function path(): string {
    const folder = mkdtempSync(join(tmpdir(), "culvert-pipe-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    return `unix://${join(folder, "s")}`;
  }

  test("carry bytes and ends", async () => {
    const { app, stream, pipe, done } = await recorded(path());
    pipe.start(stream);
    app.end("question");
    await once(stream, "end");
    pipe.onData(Buffer.from("answer"));
    pipe.onEnd();
    pipe.onFinished();
    expect((await readAll(app)).toString()).toBe("answer");
    expect(await done).toMatchObject({ code: undefined, bytesIn: 8, bytesOut: 6 });
  });

  test("are closed where TCP would be reset", async () => {
    const { app, stream, pipe, done } = await recorded(path());
    app.resume();
    pipe.start(stream);
    const closed = once(app, "end");
    pipe.onReset("connection_reset", false);
    await closed;
    expect((await done).code).toBe("connection_reset");
  });

  test("a full close with bytes unread while paused loses none of them", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const { app, stream, pipe } = await recorded(path());
    stream.hasRoom = false;
    pipe.start(stream);
    app.write(new Uint8Array(10));
    await once(stream, "write");
    await new Promise<void>((resolve) => app.end(new Uint8Array(50_000), () => resolve()));
    const closed = closing(app);
    app.destroy();
    await closed;
    vi.advanceTimersByTime(3000);
    expect(stream.resets).toEqual([]);
    stream.hasRoom = true;
    pipe.onWritable();
    await once(stream, "end");
    expect(stream.writtenBytes).toBe(50_010);
  });
});
