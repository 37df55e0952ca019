import { once } from "node:events";
import { createServer as createHttp, type Server } from "node:http";
import { createServer as createHttps } from "node:https";
import type { Duplex } from "node:stream";
import type { ConnectionOptions } from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { type ClientOptions, WebSocket, WebSocketServer } from "ws";
import { giveBack } from "../src/received-memory.ts";
import type { Transport } from "../src/transport.ts";
import { webSocketTransport } from "../src/web-socket-transport.ts";

/** A shared key, so that no certificate has to be kept and renewed for a test. */
const KEY = Buffer.alloc(32, 7);
const SHARED_KEY = { ciphers: "PSK-AES256-GCM-SHA384", maxVersion: "TLSv1.2" } as const;

type Scheme = "ws" | "wss";

interface Ends {
  readonly client: Transport;
  readonly server: Transport;
  readonly clientSocket: Duplex;
  readonly serverSocket: Duplex;
}

/** Both transports of a WebSocket over loopback, and the sockets below. */
async function transports(scheme: Scheme): Promise<Ends> {
  const http: Server =
    scheme === "ws" ? createHttp() : createHttps({ ...SHARED_KEY, pskCallback: () => KEY });
  const upgrades = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const accepted = new Promise<[Transport, Duplex]>((resolve) => {
    http.on("upgrade", (request, socket, head) => {
      upgrades.handleUpgrade(request, socket, head, (ws) => {
        resolve([webSocketTransport(ws, socket, "none"), socket]);
      });
    });
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const { port } = http.address() as { port: number };
  const options: ClientOptions & Pick<ConnectionOptions, "pskCallback"> = {
    perMessageDeflate: false,
    ...SHARED_KEY,
    pskCallback: () => ({ psk: KEY, identity: "test" }),
    checkServerIdentity: () => false, // no fault: neither end has a certificate
  };
  const ws = new WebSocket(`${scheme}://127.0.0.1:${port}`, options);
  const upgraded = once(ws, "upgrade");
  await once(ws, "open");
  const [response] = (await upgraded) as [{ socket: Duplex }];
  const client = webSocketTransport(ws, response.socket, scheme === "ws" ? "random" : "zero");
  const [server, serverSocket] = await accepted;
  onTestFinished(() => {
    client.terminate();
    server.terminate();
    http.close();
  });
  return { client, server, clientSocket: response.socket, serverSocket };
}

/** What `transport` is given; never looked at again by whoever gave it. */
function listen(transport: Transport, onMessage: (message: Uint8Array) => void, onDrain?: () => void): void {
  transport.handler = {
    onMessage,
    onText: () => undefined,
    onHeard: () => undefined,
    onDrain: () => onDrain?.(),
    onClose: () => undefined,
  };
}

/** A message that tells its number, and whose every byte follows from it. */
function messageOf(number: number, length: number): Buffer {
  const message = Buffer.alloc(Math.max(length, 4), number % 251);
  message.writeUInt32BE(number);
  return message;
}

function isWhole(message: Uint8Array, number: number, length: number): boolean {
  return Buffer.compare(message, messageOf(number, length)) === 0;
}

/** Sends them as fast as they are taken, from memory that is used again at once. */
function sendAll(from: Transport, lengths: readonly number[]): void {
  let next = 0;
  const pump = (): void => {
    from.cork();
    while (next < lengths.length && from.bufferedBytes < from.highWaterBytes) {
      const message = messageOf(next, lengths[next]!);
      from.send(message);
      message.fill(0xee);
      next += 1;
    }
    from.uncork();
    if (next < lengths.length && from.bufferedBytes < from.highWaterBytes) setImmediate(pump);
  };
  listen(from, () => undefined, pump);
  pump();
}

const SIZES = [65_551, 65_551, 7, 65_551, 40_000, 125, 126, 65_551, 16_384, 3000, 65_536, 65_535, 1];

describe.each<[Scheme, "up" | "down"]>([
  ["ws", "up"],
  ["ws", "down"],
  ["wss", "up"],
  ["wss", "down"],
])("over %s, %s", (scheme, direction) => {
  async function ends(): Promise<{ from: Transport; to: Transport }> {
    const { client, server } = await transports(scheme);
    return direction === "up" ? { from: client, to: server } : { from: server, to: client };
  }

  test("no message changes until it is given back, however long that takes", async () => {
    const { from, to } = await ends();
    const lengths = Array.from({ length: 1500 }, (_, n) => SIZES[(n * 7) % SIZES.length]!);
    const held: { message: Uint8Array; number: number }[] = [];
    let received = 0;
    let isGood = true;
    const done = new Promise<void>((resolve) => {
      listen(to, (message) => {
        isGood &&= isWhole(message, received, lengths[received]!);
        held.push({ message, number: received });
        received += 1;
        // Now and then some, the youngest or the oldest.
        while (held.length > (received * 13) % 40) {
          const each = received % 3 === 0 ? held.pop()! : held.shift()!;
          isGood &&= isWhole(each.message, each.number, lengths[each.number]!);
          giveBack(each.message);
        }
        if (received === lengths.length) resolve();
      });
    });
    sendAll(from, lengths);
    await done;
    for (const { message, number } of held) isGood &&= isWhole(message, number, lengths[number]!);
    expect(isGood).toBe(true);
  });

  test("a bulk transfer uses the same few blocks again and again", async () => {
    const { from, to } = await ends();
    const lengths = new Array<number>(1600).fill(65_551);
    const buffers = new Map<ArrayBufferLike, number>();
    let received = 0;
    let isGood = true;
    const done = new Promise<void>((resolve) => {
      listen(to, (message) => {
        buffers.set(message.buffer, (buffers.get(message.buffer) ?? 0) + 1);
        isGood &&= isWhole(message, received, 65_551);
        received += 1;
        giveBack(message);
        if (received === lengths.length) resolve();
      });
    });
    sendAll(from, lengths);
    await done;
    expect(isGood).toBe(true);
    // Most messages are not joined from pieces: they stand in blocks.
    const inBlocks = [...buffers].filter(([{ byteLength }]) => byteLength > 200_000);
    expect(inBlocks.length).toBeLessThan(20);
    expect(inBlocks.reduce((sum, [, count]) => sum + count, 0)).toBeGreaterThan(lengths.length / 2);
  });
});

/** What `server` is given, and how it is closed. */
function story(server: Transport): { lengths: number[]; closed: Promise<string> } {
  const lengths: number[] = [];
  const closed = new Promise<string>((resolve) => {
    listen(server, (message) => lengths.push(message.length));
    Object.assign(server.handler!, {
      onClose: (code: number, reason: string) => resolve(`${code} ${reason}`),
    });
  });
  return { lengths, closed };
}

describe.each<Scheme>(["ws", "wss"])("over %s", (scheme) => {
  test("what came right before the end of the connection is heard before it", async () => {
    const { client, server, clientSocket, serverSocket } = await transports(scheme);
    const { lengths, closed } = story(server);
    listen(client, () => undefined);
    // Long enough that the server reads into a block.
    for (let n = 1; n <= 5; n += 1) {
      client.send(messageOf(n, 70_000));
      await expect.poll(() => lengths.length).toBe(n);
    }
    serverSocket.pause();
    client.cork();
    client.send(messageOf(6, 9000));
    client.send(messageOf(7, 8));
    client.close(1000, "bye");
    client.uncork();
    clientSocket.end();
    await once(clientSocket, "finish");
    serverSocket.resume();
    expect(await closed).toBe("1000 bye");
    expect(lengths.slice(5)).toEqual([9000, 8]);
  });

  test("what a turn sends counts as buffered until the turn is over", async () => {
    const { client, server } = await transports(scheme);
    const { lengths } = story(server);
    client.cork();
    for (let n = 0; n < 9; n += 1) client.send(messageOf(n, 50_000));
    expect(client.bufferedBytes).toBeGreaterThan(9 * 50_000);
    client.uncork();
    await expect.poll(() => lengths.length).toBe(9);
    expect(client.bufferedBytes).toBe(0);
  });

  test("somebody else who listens for a while may keep what it heard, and harms nothing", async () => {
    const { client, server, serverSocket } = await transports(scheme);
    const lengths = new Array<number>(600).fill(12_000);
    const heard: [chunk: Uint8Array, copy: Buffer][] = [];
    const spy = (chunk: Uint8Array) => void heard.push([chunk, Buffer.from(chunk)]);
    let received = 0;
    let isGood = true;
    const done = new Promise<void>((resolve) => {
      listen(server, (message) => {
        isGood &&= isWhole(message, received, 12_000);
        giveBack(message);
        received += 1;
        if (received % 100 === 50) serverSocket.on("data", spy);
        if (received % 100 === 90) serverSocket.off("data", spy);
        if (received === lengths.length) resolve();
      });
    });
    sendAll(client, lengths);
    await done;
    expect(isGood).toBe(true);
    expect(heard.length).toBeGreaterThan(0);
    expect(heard.every(([chunk, copy]) => Buffer.compare(chunk, copy) === 0)).toBe(true);
  });

  test("a socket that its owner pauses is not read without bound", async () => {
    const { client, server, serverSocket } = await transports(scheme);
    const lengths = new Array<number>(800).fill(65_551);
    let received = 0;
    listen(server, (message) => {
      giveBack(message);
      received += 1;
    });
    sendAll(client, lengths);
    await expect.poll(() => received).toBeGreaterThan(100);
    serverSocket.pause();
    let turns = 0;
    // As many turns of the loop as would read all of it.
    while (turns < 3000) {
      turns += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(serverSocket.readableLength).toBeLessThan(1_000_000);
    serverSocket.resume();
    await expect.poll(() => received, { timeout: 10_000 }).toBe(lengths.length);
  });
});
