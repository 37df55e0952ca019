import { once } from "node:events";
import { createServer, get, request } from "node:http";
import { type Duplex, Readable, Writable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { finished, pipeline } from "node:stream/promises";
import { createServer as createTlsServer, type TLSSocket, connect as tlsConnect } from "node:tls";
import { CulvertError } from "@culvert/protocol";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { dial } from "../src/dialer.ts";
import { silentLogger } from "../src/logger.ts";
import { SocketPipe } from "../src/socket-pipe.ts";
import { TunnelStream } from "../src/tunnel-stream.ts";
import { RecordedStream } from "./support/recorded-stream.ts";
import { eventOf, listenOn, pattern, tracked, until } from "./support/sockets.ts";
import { PairedStream, type StreamPairOptions } from "./support/stream-pair.ts";

function tunnelStream(connecting = true): TunnelStream {
  const duplex = new TunnelStream({ connecting });
  onTestFinished(() => void duplex.destroy());
  return duplex;
}

/** Two Duplexes with a stream between them. */
function duplexPair(options: StreamPairOptions = {}) {
  const [leftStream, rightStream] = PairedStream.pair(options);
  const [left, right] = [tunnelStream(), tunnelStream(false)];
  leftStream.handler = left;
  rightStream.handler = right;
  left.bind(leftStream);
  right.bind(rightStream);
  return { left, right, leftStream, rightStream };
}

/** A Duplex whose other end is carried to a port on this machine. */
async function duplexTo(port: number): Promise<TunnelStream> {
  const [leftStream, rightStream] = PairedStream.pair({ windowBytes: 20_000 });
  const duplex = tunnelStream();
  leftStream.handler = duplex;
  duplex.bind(leftStream);
  const socket = tracked(await dial({ scheme: "tcp", host: "127.0.0.1", port }, { timeoutMs: 5000 }));
  const pipe = new SocketPipe(socket, { logger: silentLogger });
  rightStream.handler = pipe;
  pipe.start(rightStream);
  rightStream.accept();
  return duplex;
}

function recorded() {
  const stream = new RecordedStream();
  const duplex = tunnelStream();
  duplex.bind(stream);
  return { stream, duplex };
}

function storyOf(duplex: Duplex): string[] {
  const story: string[] = [];
  for (const event of ["connect", "end", "finish", "close"]) duplex.on(event, () => story.push(event));
  duplex.on("error", (error) => story.push((error as CulvertError).code));
  return story;
}

function closing(duplex: Duplex): Promise<void> {
  return duplex.closed ? Promise.resolve() : eventOf(duplex, "close");
}

afterEach(() => {
  vi.useRealTimers();
});

describe("bytes", () => {
  test("5 MB each way through tiny windows, with pipeline", async () => {
    const { left, right, leftStream, rightStream } = duplexPair({ windowBytes: 5003, highWaterBytes: 3001 });
    const [up, down] = [pattern(5_000_000, 1), pattern(5_000_000, 2)];
    const chunksOf = (bytes: Buffer) =>
      Readable.from(
        (function* () {
          for (let at = 0; at < bytes.length; at += 7001) yield bytes.subarray(at, at + 7001);
        })(),
      );
    const [gotDown, gotUp] = await Promise.all([
      buffer(left),
      buffer(right),
      pipeline(chunksOf(up), left, { end: true }),
      pipeline(chunksOf(down), right, { end: true }),
    ]);
    expect(gotUp.equals(up)).toBe(true);
    expect(gotDown.equals(down)).toBe(true);
    await Promise.all([closing(left), closing(right)]);
    expect([left.errored, right.errored]).toEqual([null, null]);
    expect(leftStream.mostUnconsumed).toBeLessThanOrEqual(5003);
    expect(rightStream.consumedBytes).toBe(5_000_000);
    expect([left.bytesRead, left.bytesWritten]).toEqual([5_000_000, 5_000_000]);
  }, 60_000);

  test("the caller may use its buffer again after the callback", async () => {
    const { left, right } = duplexPair();
    const scratch = Buffer.alloc(3);
    for (const word of ["one", "two", "six"]) {
      scratch.write(word);
      await new Promise((resolve) => left.write(scratch, resolve));
      scratch.fill(0);
    }
    left.end();
    expect(await text(right)).toBe("onetwosix");
  });

  test("strings, encodings, and what was corked", async () => {
    const { left, right } = duplexPair();
    left.cork();
    left.write("a");
    left.write("YmM=", "base64");
    left.write(Buffer.from("d"));
    left.write(Uint8Array.of(0x65));
    left.uncork();
    left.end("ä", "latin1");
    expect((await buffer(right)).toString("latin1")).toBe("abcdeä");
  });

  test("a reader who does not read holds the sender back", async () => {
    const { left, right, rightStream } = duplexPair({ windowBytes: 50_000, highWaterBytes: 10_000 });
    let accepted = 0;
    const source = new Readable({
      read() {
        accepted += 10_000;
        this.push(Buffer.alloc(10_000));
      },
    });
    onTestFinished(() => void source.destroy());
    source.pipe(left);
    await vi.waitFor(() => expect(rightStream.received - rightStream.consumedBytes).toBe(50_000), 30_000);
    // What the Duplex holds itself is one chunk.
    expect(right.readableLength).toBeLessThanOrEqual(50_000);
    expect(rightStream.received).toBeLessThanOrEqual(100_000);
    expect(accepted).toBeLessThan(400_000);
  });

  test("nothing is consumed before somebody reads, and small frames come out in large chunks", async () => {
    const { stream, duplex } = recorded();
    for (let count = 0; count < 100_000; count += 1) duplex.onData(new Uint8Array(64).subarray(5, 6));
    expect(stream.consumedBytes).toBe(0);
    let chunks = 0;
    let bytes = 0;
    duplex.on("data", (chunk) => {
      chunks += 1;
      bytes += chunk.length;
    });
    await until(duplex, "data", () => bytes === 100_000);
    expect(chunks).toBeLessThan(16);
    expect(stream.consumedBytes).toBe(100_000);
  });

  test("a reader who waits for 'readable' and then does not read costs one chunk", async () => {
    const { stream, duplex } = recorded();
    const readable = eventOf(duplex, "readable");
    for (let count = 0; count < 1000; count += 1) duplex.onData(Uint8Array.of(count));
    await readable;
    expect(duplex.readableLength).toBe(stream.consumedBytes);
    for (let count = 0; count < 1000; count += 1) duplex.onData(Uint8Array.of(count));
    expect(stream.consumedBytes).toBeLessThanOrEqual(1000);
    let bytes = 0;
    duplex.on("data", (chunk) => {
      bytes += chunk.length;
    });
    await until(duplex, "data", () => bytes === 2000);
  });

  test("async iteration, read(n), and setEncoding", async () => {
    const { left, right } = duplexPair();
    left.end("hello there");
    await once(right, "readable");
    expect(right.read(2)?.toString()).toBe("he");
    right.setEncoding("utf8");
    let rest = "";
    for await (const chunk of right) rest += chunk;
    expect(rest).toBe("llo there");
  });
});

describe("the life of one", () => {
  test("what is written before the stream is there travels when it is", async () => {
    const duplex = tunnelStream();
    const stream = new RecordedStream();
    duplex.write("early ");
    duplex.end("bird");
    expect(duplex.connecting).toBe(true);
    duplex.bind(stream);
    await once(duplex, "finish");
    expect(Buffer.concat(stream.written).toString()).toBe("early bird");
    expect(stream.isEnded).toBe(true);
  });

  test("'connect' and 'ready' when the peer accepts", async () => {
    const { left, rightStream } = duplexPair();
    expect(left.connecting).toBe(true);
    rightStream.accept();
    await Promise.all([once(left, "connect"), once(left, "ready")]);
    expect(left.connecting).toBe(false);
    expect(tunnelStream(false).connecting).toBe(false);
  });

  test("each direction ends apart, and after both it closes without an error", async () => {
    const { left, right } = duplexPair();
    const story = storyOf(left);
    left.end("question");
    expect(await text(right)).toBe("question");
    expect(right.writable).toBe(true);
    right.end("answer");
    expect(await text(left)).toBe("answer");
    await Promise.all([closing(left), closing(right)]);
    expect(story).toEqual(["finish", "end", "close"]);
  });

  test("'close' comes when what was queued has left, not when both ends are said", async () => {
    const { left, right, leftStream } = duplexPair({ windowBytes: 1000, highWaterBytes: 100_000 });
    const closed = vi.fn();
    left.on("close", closed);
    right.end();
    left.resume();
    left.end(pattern(50_000));
    await Promise.all([eventOf(left, "finish"), eventOf(left, "end")]);
    expect(leftStream.writableBytes).toBeGreaterThan(0);
    expect(closed).not.toHaveBeenCalled();
    const arrived = buffer(right);
    await closing(left);
    expect(leftStream.writableBytes).toBe(0);
    expect((await arrived).equals(pattern(50_000))).toBe(true);
  });

  test.each(["connect", "data", "end"] as const)(
    "a listener of %s that throws is an uncaught exception, and none of the session's",
    async (event) => {
      const { duplex } = recorded();
      const thrown = new Promise<unknown>((resolve) => {
        process.prependOnceListener("uncaughtException", resolve);
        process.setUncaughtExceptionCaptureCallback((error) => {
          process.setUncaughtExceptionCaptureCallback(null);
          resolve(error);
        });
      });
      duplex.on(event, () => {
        throw new Error("of the caller");
      });
      duplex.resume();
      await new Promise((resolve) => setImmediate(resolve));
      expect(() => {
        if (event === "connect") duplex.onAccept();
        if (event === "data") duplex.onData(new Uint8Array(3));
        if (event === "end") duplex.onEnd();
      }).not.toThrow();
      expect(await thrown).toMatchObject({ message: "of the caller" });
    },
  );

  test("a write waits for room, and is told when there is some", async () => {
    const { stream, duplex } = recorded();
    stream.hasRoom = false;
    const written = vi.fn();
    duplex.write("x", written);
    expect(written).not.toHaveBeenCalled();
    duplex.onWritable();
    await new Promise((resolve) => setImmediate(resolve));
    expect(written).toHaveBeenCalledTimes(1);
    duplex.onWritable();
  });
});

describe("destroy", () => {
  test("aborts the stream, whose other end sees an error and no end", async () => {
    const { left, right } = duplexPair();
    const story = storyOf(right);
    right.resume();
    left.write("half a word");
    left.destroy();
    await closing(right);
    expect(story).toEqual(["cancelled", "close"]);
    expect(left.errored).toBe(null);
  });

  test.each([
    [new CulvertError("forbidden"), "forbidden"],
    [new Error("anything"), "cancelled"],
  ])("with %s tells the other end %s", async (error, code) => {
    const { stream, duplex } = recorded();
    duplex.destroy(error);
    await closing(duplex);
    expect(stream.resets).toEqual([code]);
    expect(duplex.errored).toBe(error);
  });

  test("before there is a stream: the stream is given up when it comes", async () => {
    const { stream } = recorded();
    const duplex = tunnelStream();
    duplex.write("x");
    duplex.destroy();
    duplex.bind(stream);
    expect(stream.resets).toEqual(["cancelled"]);
    expect(stream.written).toEqual([]);
  });

  test("after end() but before the other end's: aborts", () => {
    const { stream, duplex } = recorded();
    duplex.end("x");
    duplex.destroy();
    expect(stream.resets).toEqual(["cancelled"]);
  });

  test("fails the write that waits and those behind it", async () => {
    const { stream, duplex } = recorded();
    stream.hasRoom = false;
    const failures: unknown[] = [];
    duplex.write("x", (error) => failures.push(error));
    duplex.write("y", (error) => failures.push(error));
    duplex.destroy();
    await closing(duplex);
    await new Promise((resolve) => setImmediate(resolve));
    expect(failures).toEqual([expect.any(Error), expect.any(Error)]);
  });

  test("leaves nothing that what still comes could disturb", () => {
    const { stream, duplex } = recorded();
    duplex.destroy();
    duplex.onAccept();
    duplex.onData(Buffer.from("late"));
    duplex.onWritable();
    duplex.onEnd();
    duplex.onReset("connection_reset", false);
    duplex.write("nobody hears this");
    expect(stream.consumedBytes).toBe(0);
    expect(stream.written).toEqual([]);
  });

  test("await using", async () => {
    const { stream, duplex } = recorded();
    {
      await using _ = duplex;
    }
    expect(stream.resets).toEqual(["cancelled"]);
  });
});

describe("when the peer breaks off", () => {
  test("an error with its code, and no end; without a listener no crash", async () => {
    const { stream, duplex } = recorded();
    duplex.resume();
    const ended = vi.fn();
    duplex.on("end", ended);
    duplex.onData(Buffer.from("half"));
    duplex.onReset("target_refused", false);
    await closing(duplex);
    expect(duplex.errored).toMatchObject({ code: "target_refused" });
    expect(ended).not.toHaveBeenCalled();
    expect(stream.resets).toEqual([]);
  });

  test("pipeline and finished reject with it", async () => {
    for (const use of [
      (duplex: Duplex) => pipeline(duplex, new Writable({ write: (_chunk, _encoding, done) => done() })),
      (duplex: Duplex) => pipeline(new Readable({ read() {} }), duplex),
      (duplex: Duplex) => finished(duplex),
    ]) {
      const { duplex } = recorded();
      const outcome = use(duplex);
      duplex.onReset("session_lost", false);
      await expect(outcome).rejects.toMatchObject({ code: "session_lost" });
    }
  });

  test("after it sent everything: the reader gets everything, then the end, then the error", async () => {
    const { duplex } = recorded();
    const story = storyOf(duplex);
    duplex.onData(pattern(100_000));
    duplex.onEnd();
    duplex.onReset("session_lost", true);
    await new Promise((resolve) => setImmediate(resolve));
    expect(duplex.destroyed).toBe(false);
    const chunks: Buffer[] = [];
    duplex.on("data", (chunk) => chunks.push(chunk));
    await closing(duplex);
    expect(Buffer.concat(chunks).equals(pattern(100_000))).toBe(true);
    expect(story).toEqual(["end", "session_lost", "close"]);
  });

  test("after it sent everything: a write fails only when the reader has everything", async () => {
    const { duplex } = recorded();
    duplex.onData(Buffer.from("all"));
    duplex.onEnd();
    duplex.onReset("connection_reset", true);
    const failed = new Promise((resolve) => duplex.write("too late", resolve));
    duplex.end();
    expect(await text(duplex).catch((error) => error)).toBe("all");
    expect(await failed).toMatchObject({ code: "connection_reset" });
    expect(duplex.writableFinished).toBe(false);
  });

  test("after everything was read: at once", async () => {
    const { duplex } = recorded();
    duplex.onData(Buffer.from("all"));
    duplex.onEnd();
    expect(await text(duplex)).toBe("all");
    duplex.onReset("connection_reset", true);
    expect(duplex.errored).toMatchObject({ code: "connection_reset" });
  });

  test("while a write waits", async () => {
    const { stream, duplex } = recorded();
    stream.hasRoom = false;
    const failed = new Promise((resolve) => duplex.write("x", resolve));
    duplex.onReset("connection_reset", false);
    expect(await failed).toMatchObject({ code: "connection_reset" });
  });
});

describe("as a socket", () => {
  test("http.request over createConnection", async () => {
    const body = pattern(300_000);
    const server = createServer((incoming, answer) => {
      incoming.pipe(answer.writeHead(200, { "Content-Type": "application/octet-stream" }));
    });
    const duplex = await duplexTo(await listenOn(server));
    const outgoing = request({
      method: "POST",
      path: "/echo",
      createConnection: () => duplex,
      timeout: 5000,
    });
    outgoing.end(body);
    const [answer] = await once(outgoing, "response");
    expect((await buffer(answer)).equals(body)).toBe(true);
    expect(answer.statusCode).toBe(200);
    server.closeAllConnections();
    await closing(duplex);
  });

  test("an http answer that the server breaks off is an error", async () => {
    const server = createServer((_incoming, answer) => {
      answer.writeHead(200, { "Content-Length": 100 });
      answer.write("some");
      setImmediate(() => answer.socket?.resetAndDestroy());
    });
    const duplex = await duplexTo(await listenOn(server));
    const outgoing = get({ path: "/", createConnection: () => duplex });
    const outcome = await new Promise<unknown>((resolve) => {
      outgoing.on("error", resolve);
      outgoing.on("response", (answer) => buffer(answer).then(resolve, resolve));
    });
    expect(outcome).toBeInstanceOf(Error);
  });

  test("an http server on it", async () => {
    const { left, right } = duplexPair();
    const server = createServer((_incoming, answer) => answer.end("served"));
    server.emit("connection", right);
    const outgoing = get({ path: "/", headers: { Connection: "close" }, createConnection: () => left });
    const [answer] = await once(outgoing, "response");
    expect(await text(answer)).toBe("served");
    await closing(right);
  });

  test("request.setTimeout", async () => {
    const server = createServer(() => {});
    const duplex = await duplexTo(await listenOn(server));
    onTestFinished(() => server.closeAllConnections());
    const outgoing = get({ path: "/", createConnection: () => duplex });
    outgoing.setTimeout(20);
    await once(outgoing, "timeout");
    outgoing.on("error", () => {});
    outgoing.destroy();
    await closing(duplex);
  });

  test("tls.connect over it", async () => {
    // A shared key, so that no certificate has to be kept and renewed for a test.
    const psk = { psk: Buffer.alloc(32, 7), identity: "test" };
    const ciphers = "PSK-AES256-GCM-SHA384";
    const server = createTlsServer(
      { pskCallback: () => psk.psk, ciphers, maxVersion: "TLSv1.2" },
      (socket) => {
        socket.on("error", () => {});
        socket.pipe(socket);
      },
    );
    const duplex = await duplexTo(await listenOn(server));
    const secure: TLSSocket = tlsConnect({
      socket: duplex,
      pskCallback: () => psk,
      ciphers,
      maxVersion: "TLSv1.2",
      checkServerIdentity: () => undefined,
    });
    await once(secure, "secureConnect");
    const body = pattern(200_000);
    secure.end(body);
    expect((await buffer(secure)).equals(body)).toBe(true);
    await closing(duplex);
  });

  test("setTimeout: 'timeout' when nothing moved, again after it moved, none at 0 or after the end", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { duplex } = recorded();
    const onTimeout = vi.fn();
    expect(duplex.setTimeout(100, onTimeout)).toBe(duplex);
    expect(duplex.timeout).toBe(100);
    vi.advanceTimersByTime(90);
    duplex.onData(Buffer.from("x"));
    vi.advanceTimersByTime(90);
    duplex.write("x");
    vi.advanceTimersByTime(90);
    expect(onTimeout).not.toHaveBeenCalled();
    vi.advanceTimersByTime(10);
    expect(onTimeout).toHaveBeenCalledTimes(1);
    duplex.setTimeout(100, onTimeout).setTimeout(0, onTimeout);
    expect(vi.getTimerCount()).toBe(0);
    expect(duplex.listenerCount("timeout")).toBe(0);
    duplex.setTimeout(100);
    duplex.destroy();
    expect(vi.getTimerCount()).toBe(0);
    duplex.setTimeout(100);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("what sockets are told by their users is taken", () => {
    const { duplex } = recorded();
    expect(duplex.setNoDelay().setKeepAlive().ref().unref()).toBe(duplex);
  });
});
