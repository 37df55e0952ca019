import { once } from "node:events";
import { connect, createServer, Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { DirectReader } from "../src/direct-read.ts";

/** Both ends of a connection; the first was accepted and is paused. */
async function pair(): Promise<[accepted: Socket, dialed: Socket]> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const dialed = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [[accepted]] = (await Promise.all([once(server, "connection"), once(dialed, "connect")])) as [
    [Socket],
    unknown,
  ];
  server.close();
  onTestFinished(() => {
    accepted.destroy();
    dialed.destroy();
  });
  return [accepted, dialed];
}

/** Reads into `memory`; what came is collected. */
function collector(next?: () => Uint8Array | undefined) {
  const chunks: Buffer[] = [];
  const memories: Uint8Array[] = [];
  const reader = new DirectReader((length, memory) => {
    memories.push(memory);
    chunks.push(Buffer.from(memory.subarray(0, length)));
    return next?.();
  });
  return { reader, chunks, memories, text: () => Buffer.concat(chunks).toString() };
}

describe("a socket that is read directly", () => {
  test.each(["accepted", "dialed"])(
    "one that was %s gives its bytes, its end and its close",
    async (which) => {
      const [accepted, dialed] = await pair();
      const [socket, other] = which === "accepted" ? [accepted, dialed] : [dialed, accepted];
      const { reader, memories, text } = collector();
      const memory = new Uint8Array(10);
      const heard: unknown[] = [];
      socket.on("data", (chunk) => heard.push(chunk));
      expect(reader.start(socket, memory)).toBe(true);
      socket.resume();
      other.end("what is longer than the memory");
      await once(socket, "end");
      expect(text()).toBe("what is longer than the memory");
      expect(memories.every((each) => each === memory)).toBe(true);
      expect(memories.length).toBeGreaterThanOrEqual(3);
      expect(heard).toEqual([]);
      expect(socket.bytesRead).toBe(30);
      socket.end();
      await once(socket, "close");
    },
  );

  test("reads next to where it is told", async () => {
    const [socket, other] = await pair();
    const [first, second] = [new Uint8Array(4), new Uint8Array(100)];
    const { reader, memories, text } = collector(() => second);
    reader.start(socket, first);
    socket.resume();
    other.end("four and more");
    await once(socket, "end");
    expect(text()).toBe("four and more");
    expect(memories[0]).toBe(first);
    expect(memories.slice(1).every((each) => each === second)).toBe(true);
    expect(memories.length).toBeGreaterThan(1);
  });

  test("many share one memory, and none sees the bytes of another", async () => {
    const memory = new Uint8Array(1000);
    const pairs = await Promise.all(Array.from({ length: 20 }, pair));
    const readers = pairs.map(([socket]) => {
      const collected = collector();
      collected.reader.start(socket, memory);
      socket.resume();
      return collected;
    });
    for (const [n, [, other]] of pairs.entries()) other.end(String(n).repeat(5000));
    await Promise.all(pairs.map(([socket]) => once(socket, "end")));
    for (const [n, { text }] of readers.entries()) expect(text()).toBe(String(n).repeat(5000));
  });

  test("stops in the middle when it is paused, and goes on", async () => {
    const [socket, other] = await pair();
    let pauses = 0;
    const chunks: Buffer[] = [];
    const reader = new DirectReader(function (length, memory) {
      chunks.push(Buffer.from(memory.subarray(0, length)));
      this.pause();
      pauses += 1;
      const before = chunks.length;
      setImmediate(() => {
        expect(chunks).toHaveLength(before);
        this.resume();
      });
      return undefined;
    });
    reader.start(socket, new Uint8Array(100));
    socket.resume();
    other.end("x".repeat(1000));
    await once(socket, "end");
    expect(Buffer.concat(chunks).toString()).toBe("x".repeat(1000));
    expect(pauses).toBeGreaterThanOrEqual(10);
  });

  test("hears of a reset", async () => {
    const [socket, other] = await pair();
    collector().reader.start(socket, new Uint8Array(100));
    socket.resume();
    const failed = once(socket, "error");
    other.resetAndDestroy();
    expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
  });
});

describe("is refused, and changes nothing,", () => {
  test("while bytes wait that were read before", async () => {
    const [, dialed] = await pair();
    const [accepted, other] = await pair();
    expect(dialed.readableLength).toBe(0);
    accepted.once("readable", () => undefined);
    other.end("early");
    await expect.poll(() => accepted.readableLength).toBe(5);
    const { reader, chunks } = collector();
    expect(reader.start(accepted, new Uint8Array(10))).toBe(false);
    accepted.setEncoding("utf8");
    accepted.resume();
    expect(await accepted.toArray()).toEqual(["early"]);
    expect(chunks).toEqual([]);
  });

  test("of a socket without a connection", () => {
    const { reader } = collector();
    expect(reader.start(new Socket(), new Uint8Array(10))).toBe(false);
  });
});
