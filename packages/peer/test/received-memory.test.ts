import { randomBytes } from "node:crypto";
import { Socket } from "node:net";
import { type Duplex, duplexPair } from "node:stream";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { giveBack, ReceivedMemory } from "../src/received-memory.ts";
import { webSocketTransport } from "../src/web-socket-transport.ts";
import { acceptedWebSocket } from "./support/accepted-web-socket.ts";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

/** A socket whose every read the test decides, below a real ws. */
class Wire extends Socket {
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: BufferEncoding, callback: () => void): void {
    callback();
  }
  override _writev(_chunks: { readonly chunk: Uint8Array }[], callback: () => void): void {
    callback();
  }
}

interface Open {
  readonly wire: Wire;
  readonly messages: Uint8Array[];
}

/** The transport of a server; `messages` are those that it handed on. */
async function open(onData?: (chunk: Buffer) => void): Promise<Open> {
  const wire = new Wire();
  return { wire, messages: await messagesOf(wire, onData) };
}

async function messagesOf(wire: Duplex, onData?: (chunk: Buffer) => void): Promise<Uint8Array[]> {
  const webSocket = await acceptedWebSocket(wire);
  if (onData !== undefined) wire.on("data", onData);
  const transport = webSocketTransport(webSocket, wire, "none");
  const messages: Uint8Array[] = [];
  transport.handler = {
    onMessage: (message) => messages.push(message),
    onText: () => undefined,
    onHeard: () => undefined,
    onDrain: () => undefined,
    onClose: () => undefined,
  };
  // From the next turn on the socket flows: what is pushed is delivered at once.
  await new Promise((resolve) => setImmediate(resolve));
  return messages;
}

/** RFC 6455 section 5.2, masked as a client does it. */
function webSocketFrame(payload: Uint8Array, opcode = 2, fin = true): Buffer {
  const mask = randomBytes(4);
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = (fin ? 0x80 : 0) | opcode;
  head[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  const masked = Buffer.from(payload.map((byte, at) => byte ^ mask[at % 4]!));
  return Buffer.concat([head, mask, masked]);
}

function payloadOf(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 31 + seed * 17) & 255);
}

/** In memory of their own, as Node reads them. */
function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = Math.min(sizes[turn % sizes.length]!, bytes.length - at);
    const chunk = Buffer.allocUnsafeSlow(size);
    bytes.copy(chunk, 0, at, at + size);
    chunks.push(chunk);
    at += size;
  }
  return chunks;
}

describe("received memory", () => {
  test("whatever the cuts and whenever a message is given back, none changes before, and no memory stays behind", async () => {
    const size = fc.oneof(
      { weight: 2, arbitrary: fc.integer({ min: 1, max: 300 }) },
      { weight: 2, arbitrary: fc.integer({ min: 300, max: 5000 }) },
      { weight: 4, arbitrary: fc.integer({ min: 20_000, max: 70_000 }) },
    );
    const reads = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 16_384, max: 70_000 }));
    const scenario = fc.record({
      sizes: fc.array(size, { minLength: 1, maxLength: 12 }),
      reads: fc.array(reads, { minLength: 1, maxLength: 5 }).filter((all) => all.some((n) => n > 100)),
      // After each read: how many of those that are there are given back, oldest or newest first.
      returns: fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1, maxLength: 9 }),
    });
    let freed = 0;
    await fc.assert(
      fc.asyncProperty(scenario, async ({ sizes, reads, returns }) => {
        const { wire, messages } = await open();
        const payloads = sizes.map(payloadOf);
        const frames = payloads.map((payload) => webSocketFrame(payload));
        const chunks = cut(Buffer.concat(frames), reads);
        const sizesRead = chunks.map(({ length }) => length);
        const held: { readonly message: Uint8Array; readonly index: number }[] = [];
        let seen = 0;
        const check = (): void => {
          for (const { message, index } of held) expect(Buffer.compare(message, payloads[index]!)).toBe(0);
        };
        for (const [turn, chunk] of chunks.entries()) {
          wire.push(chunk);
          for (; seen < messages.length; seen += 1) held.push({ message: messages[seen]!, index: seen });
          check();
          const count = returns[turn % returns.length]!;
          for (let n = 0; n < Math.abs(count); n += 1) {
            const back = count > 0 ? held.shift() : held.pop();
            if (back !== undefined) giveBack(back.message);
          }
          check();
        }
        expect(messages).toHaveLength(payloads.length);
        for (const { message } of held) giveBack(message);
        // A message in a later read shows that the earlier ones were parsed to their end.
        wire.push(webSocketFrame(payloadOf(1, 1)));
        for (const [at, chunk] of chunks.entries()) expect(chunk.length === 0).toBe(sizesRead[at]! >= 16_384);
        freed += chunks.filter(({ length }) => length === 0).length;
        wire.destroy();
      }),
      { numRuns: 150 },
    );
    expect(freed).toBeGreaterThan(100);
  });

  test("what nobody gives back stays", async () => {
    const { wire, messages } = await open();
    const payloads = [payloadOf(30_000, 1), payloadOf(30_000, 2)];
    const [chunk] = cut(Buffer.concat(payloads.map((payload) => webSocketFrame(payload))), [70_000]);
    wire.push(chunk);
    giveBack(messages[0]!);
    wire.push(webSocketFrame(payloadOf(10, 3)));
    expect(chunk!.length).toBeGreaterThan(60_000);
    expect(Buffer.compare(messages[1]!, payloads[1]!)).toBe(0);
  });

  test("a small message does not keep the large read that it came in", async () => {
    const { wire, messages } = await open();
    const [chunk] = cut(
      Buffer.concat([payloadOf(100, 1), payloadOf(40_000, 2)].map((payload) => webSocketFrame(payload))),
      [50_000],
    );
    wire.push(chunk);
    giveBack(messages[1]!);
    expect(chunk!.length).toBe(0);
    expect(Buffer.compare(messages[0]!, payloadOf(100, 1))).toBe(0);
  });

  test("a message in fragments, across reads, with a ping in between", async () => {
    const { wire, messages } = await open();
    const payload = payloadOf(60_000, 5);
    const before = payloadOf(20_000, 6);
    const bytes = Buffer.concat([
      webSocketFrame(before),
      webSocketFrame(payload.subarray(0, 25_000), 2, false),
      webSocketFrame(new Uint8Array(0), 9),
      webSocketFrame(payload.subarray(25_000), 0),
      webSocketFrame(payloadOf(3000, 7)),
    ]);
    const chunks = cut(bytes, [40_000, 30_000]);
    for (const chunk of chunks) {
      wire.push(chunk);
      if (messages.length === 1 && messages[0]!.length > 0) giveBack(messages[0]!);
    }
    expect(messages).toHaveLength(3);
    expect(Buffer.compare(messages[1]!, payload)).toBe(0);
    expect(Buffer.compare(messages[2]!, payloadOf(3000, 7))).toBe(0);
  });

  test.each([0, 16, 125])("a pong that waits to be written keeps its payload of %i bytes", async (length) => {
    const { wire, messages } = await open();
    const written: Uint8Array[] = [];
    let full = (): void => undefined;
    wire._write = (chunk: Uint8Array, _encoding, done) => {
      written.push(chunk);
      full = done;
    };
    wire._writev = (chunks: { readonly chunk: Uint8Array }[], done) => {
      for (const { chunk } of chunks) written.push(chunk);
      full = done;
    };
    wire.write("nobody reads");
    expect(written.splice(0)).toHaveLength(1);
    const asked = payloadOf(length, 8);
    const reads = [0, 1].map((n) =>
      cut(
        Buffer.concat([
          webSocketFrame(asked, 9),
          webSocketFrame(payloadOf(40_000, n)),
          webSocketFrame(asked, 9),
        ]),
        [50_000],
      ),
    );
    for (const [read] of reads) wire.push(read);
    for (const message of messages) giveBack(message);
    wire.push(webSocketFrame(payloadOf(10, 2)));
    full();
    const pong = Buffer.concat([Buffer.from([0x8a, length]), asked]);
    await expect.poll(() => written.length).toBeGreaterThan(0);
    expect(Buffer.compare(Buffer.concat(written), Buffer.concat([pong, pong, pong, pong]))).toBe(0);
  });

  test("also who listens behind us, and when a message is exactly a read", async () => {
    const heard: Buffer[] = [];
    const { wire, messages } = await open();
    wire.on("data", (chunk: Buffer) => heard.push(chunk));
    const frame = webSocketFrame(payloadOf(40_000, 1));
    for (const chunk of [frame.subarray(0, 8), frame.subarray(8)]) {
      const [read] = cut(chunk, [50_000]);
      wire.push(read);
      for (const message of messages.splice(0)) giveBack(message);
    }
    wire.push(webSocketFrame(payloadOf(10, 2)));
    expect(heard.map(({ length }) => length).slice(0, 2)).toEqual([8, frame.length - 8]);
  });

  test("also who listens once", async () => {
    const heard: Buffer[] = [];
    const { wire, messages } = await open();
    wire.once("data", (chunk: Buffer) => heard.push(chunk));
    const frame = webSocketFrame(payloadOf(40_000, 1));
    const [read] = cut(frame, [50_000]);
    wire.push(read);
    giveBack(messages[0]!);
    wire.push(webSocketFrame(payloadOf(10, 2)));
    expect(heard[0]!.length).toBe(frame.length);
  });

  test("who else listens to the socket keeps what it heard", async () => {
    const heard: Buffer[] = [];
    const { wire, messages } = await open((chunk) => heard.push(chunk));
    const bytes = webSocketFrame(payloadOf(40_000, 1));
    const chunks = cut(bytes, [50_000]);
    wire.push(chunks[0]);
    giveBack(messages[0]!);
    wire.push(webSocketFrame(payloadOf(10, 2)));
    expect(heard[0]!.length).toBe(bytes.length);
  });

  test("over a Duplex that hands buffers on nothing is freed, and messages are copies", async () => {
    const [near, far] = duplexPair();
    const messages = await messagesOf(near);
    const frames = [payloadOf(40_000, 1), payloadOf(40_000, 2)].map((payload) => webSocketFrame(payload));
    const written = frames.map((frame) => cut(frame, [50_000])[0]!);
    for (const frame of written) {
      const count = messages.length;
      far.write(frame);
      await expect.poll(() => messages.length).toBe(count + 1);
    }
    for (const message of messages) giveBack(message);
    expect(written.map(({ length }) => length)).toEqual(frames.map(({ length }) => length));
    // The writer may use its memory again.
    for (const frame of written) frame.fill(0xee);
    expect(Buffer.compare(messages[0]!, payloadOf(40_000, 1))).toBe(0);
    expect(Buffer.compare(messages[1]!, payloadOf(40_000, 2))).toBe(0);
  });

  test("what comes without a message, as pongs do without end, is not held", async () => {
    const received = new ReceivedMemory();
    let collected = 0;
    const registry = new FinalizationRegistry(() => {
      collected += 1;
    });
    for (let n = 0; n < 200; n += 1) {
      const chunk = Buffer.allocUnsafeSlow(32_768);
      registry.register(chunk.buffer, undefined);
      received.chunk(chunk, true);
    }
    await expect
      .poll(() => {
        gc();
        return collected;
      })
      .toBeGreaterThan(150);
    expect(received.message(Uint8Array.of(1), true)).toEqual(Uint8Array.of(1));
  });
});
