import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import type { Transport } from "../src/transport.ts";
import { webSocketTransport } from "../src/web-socket-transport.ts";

const FRAME_BYTES = 32_779;

interface Pair {
  readonly transport: Transport;
  readonly peer: WebSocket;
  readonly peerSocket: Socket;
  /** What ws gave to the client's socket. */
  readonly written: Uint8Array[];
}

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0).reverse()) step();
});

/** The transport of a client, which masks, and the ws of the server at its other end. */
async function open(options: { readonly generateMask?: (mask: Buffer) => void } = {}): Promise<Pair> {
  const http = createServer();
  const server = new WebSocketServer({ server: http, perMessageDeflate: false });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const { port } = http.address() as AddressInfo;
  let socket: Socket | undefined;
  const webSocket = new WebSocket(`ws://127.0.0.1:${port}/`, {
    ...options,
    perMessageDeflate: false,
    createConnection: () => {
      socket = connect({ host: "127.0.0.1", port });
      return socket;
    },
  });
  const [[peer, request]] = await Promise.all([once(server, "connection"), once(webSocket, "open")]);
  const written: Uint8Array[] = [];
  const { write } = socket!;
  socket!.write = ((chunk: Uint8Array, ...rest: unknown[]) => {
    written.push(chunk);
    return Reflect.apply(write, socket, [chunk, ...rest]);
  }) as typeof write;
  const transport = webSocketTransport(webSocket, socket!);
  undo.push(() => {
    webSocket.terminate();
    peer.terminate();
    http.close();
  });
  return { transport, peer, peerSocket: request.socket, written };
}

function frameOf(seed: number, length = FRAME_BYTES): Buffer {
  return Buffer.allocUnsafeSlow(length).fill(seed);
}

/** The next messages, each as its length and its first and last byte. */
async function messages(peer: WebSocket, count: number): Promise<string[]> {
  const seen: string[] = [];
  await new Promise<void>((resolve) => {
    peer.on("message", (data: Buffer) => {
      seen.push(`${data.length} ${data[0]} ${data.at(-1)}`);
      if (seen.length === count) resolve();
    });
  });
  return seen;
}

describe("sent memory", () => {
  test("masked copies are freed once the kernel has them, the frames stay", async () => {
    const { transport, peer, written } = await open();
    const frames = [1, 2, 3].map((seed) => frameOf(seed));
    const seen = messages(peer, 3);
    transport.cork();
    for (const frame of frames) transport.send(frame);
    const copies = written.filter(({ length }) => length > FRAME_BYTES);
    expect(copies).toHaveLength(3);
    transport.uncork();
    expect(await seen).toEqual([1, 2, 3].map((seed) => `${FRAME_BYTES} ${seed} ${seed}`));
    // At the latest the next turn finds them; here the kernel took all at once.
    transport.cork();
    transport.uncork();
    expect(copies.map(({ length }) => length)).toEqual([0, 0, 0]);
    for (const [index, frame] of frames.entries()) {
      expect(frame.every((byte) => byte === index + 1)).toBe(true);
      expect(frame.length).toBe(FRAME_BYTES);
    }
  });

  test("nothing that still waits for a slow reader is freed: all of it arrives", async () => {
    const { transport, peer, peerSocket, written } = await open();
    peerSocket.pause();
    const count = 600; // far more than the kernel takes
    for (let n = 0; n < count; n += 1) {
      transport.cork();
      transport.send(frameOf(n % 251));
      transport.uncork();
    }
    expect(transport.bufferedBytes).toBeGreaterThan(1_000_000);
    const waiting = written.filter(({ length }) => length > FRAME_BYTES).length;
    expect(waiting).toBeGreaterThan(30);
    const seen = messages(peer, count);
    peerSocket.resume();
    const expected = Array.from({ length: count }, (_, n) => `${FRAME_BYTES} ${n % 251} ${n % 251}`);
    expect(await seen).toEqual(expected);
    transport.cork();
    transport.uncork();
    expect(written.filter(({ length }) => length > FRAME_BYTES)).toEqual([]);
  });

  test("a frame that ws writes as it is, because its mask is zero, stays its owner's", async () => {
    const { transport, peer, written } = await open({ generateMask: (mask) => mask.fill(0) });
    const frame = frameOf(9);
    const seen = messages(peer, 1);
    transport.cork();
    transport.send(frame);
    transport.uncork();
    expect(await seen).toEqual([`${FRAME_BYTES} 9 9`]);
    expect(written).toContain(frame);
    transport.cork();
    transport.uncork();
    expect(frame.length).toBe(FRAME_BYTES);
  });
});
