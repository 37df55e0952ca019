import type { Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { ChaosProxy } from "@culvert/chaos";
import { describe, expect, test } from "vitest";
import { until } from "../support/deadline.ts";
import { stillValue } from "../support/stillness.ts";
import { MemoryWatch, MIB, mib } from "./support/process-figures.ts";
import { RandomBytes } from "./support/random-bytes.ts";
import { dial, echo, receive, Service, send } from "./support/sockets.ts";
import { MODES, TunnelRig } from "./support/tunnel-rig.ts";

const PUSHED_BYTES = 1024 * MIB;
const MAX_RSS_BYTES = 150 * MIB;
/** What may be on the way to a reader who takes nothing: windows of Culvert and four buffers of the kernel. */
const MAX_HELD_BYTES = 128 * MIB;
const OTHERS = 50;
const ECHOES = 100;
const DRIBBLED_VISITORS = 100;
/** To each of them, twice. */
const DRIBBLED_BYTES = 3000;
/** Held back means that nothing moves for a hundred of these. */
const LOOK_MS = 20;

describe.each(MODES)("a visitor of %s who does not read", (mode) => {
  test("holds back a service that pushes 1 GiB, and nobody else", async () => {
    const pushed = new RandomBytes(4, PUSHED_BYTES);
    const flow = { writtenBytes: 0 };
    await using service = await Service.start((socket) => {
      socket.once("data", async (first: Buffer) => {
        if (first.toString() !== "push") {
          socket.write(first);
          socket.pipe(socket);
          return;
        }
        await send(socket, counted(pushed, flow));
        socket.end();
      });
    });
    await using rig = await TunnelRig.open(mode, service.port);
    using memory = new MemoryWatch(rig.server, rig.client);
    const aloneMs = await echoTogether(rig.port);

    using visitor = await dial(rig.port);
    visitor.pause();
    visitor.write("push");
    await until(() => flow.writtenBytes > MIB, "the service has pushed something");
    const meanwhileMs = await echoTogether(rig.port);
    const heldBytes = await stillValue(() => flow.writtenBytes, LOOK_MS);
    const heldBackMs = await echoTogether(rig.port);

    console.log(
      `${mode}: held back after ${mib(heldBytes)}; ${OTHERS} x ${ECHOES} echoes took ${aloneMs} ms before, ` +
        `${meanwhileMs} ms while it filled, ${heldBackMs} ms afterwards; at most ${memory.text}`,
    );
    expect(heldBytes).toBeLessThan(MAX_HELD_BYTES);
    expect(memory.peakBytes).toBeLessThan(MAX_RSS_BYTES);

    // When it reads at last, nothing is missing.
    const receiving = receive(visitor);
    visitor.resume();
    const received = await receiving;
    expect(received).toEqual({ bytes: PUSHED_BYTES, sha256: pushed.sha256() });
    console.log(`${mode}: at most ${memory.text} after all of it was read`);
    expect(memory.peakBytes).toBeLessThan(MAX_RSS_BYTES);
  });

  test("pins no memory with single bytes, also while the WebSocket stands still", async () => {
    const services: Socket[] = [];
    await using service = await Service.start((socket) => services.push(socket));
    let proxy: ChaosProxy | undefined;
    await using rig = await TunnelRig.open(mode, service.port, {
      via: async (port) => {
        proxy = await ChaosProxy.start({ target: { host: "127.0.0.1", port } });
        return proxy.port;
      },
    });
    await using chaos = proxy!;
    using memory = new MemoryWatch(rig.server, rig.client);

    const visitors = await Promise.all(Array.from({ length: DRIBBLED_VISITORS }, () => dial(rig.port)));
    for (const visitor of visitors) visitor.pause();
    await until(() => services.length === visitors.length, "all are through");
    await dribble(services);
    chaos.pause();
    await dribble(services);
    const { replayBytes, streams } = await rig.client.sessionReport();
    chaos.resume();
    const received = visitors.map((visitor) => {
      const receiving = receive(visitor);
      visitor.resume();
      return receiving;
    });
    for (const socket of services) socket.end();
    for (const { bytes } of await Promise.all(received)) expect(bytes).toBe(2 * DRIBBLED_BYTES);
    console.log(
      `${mode}: ${streams} streams of single bytes, ${mib(replayBytes)} to replay, at most ${memory.text}`,
    );
    expect(memory.peakBytes).toBeLessThan(MAX_RSS_BYTES);
  });
});

/** Single bytes, each on its own: Nagle's rule is off, and every socket has its turn before the next byte. */
async function dribble(sockets: readonly Socket[]): Promise<void> {
  const byte = Buffer.from("x");
  for (let n = 0; n < DRIBBLED_BYTES; n++) {
    for (const socket of sockets) socket.write(byte);
    await turn();
  }
}

function* counted(pieces: Iterable<Buffer>, flow: { writtenBytes: number }): Generator<Buffer> {
  for (const piece of pieces) {
    yield piece;
    // Asked for the next one: this one was taken.
    flow.writtenBytes += piece.length;
  }
}

/** 50 visitors at once, 100 echoes each, one after the other. How long all of it took, in ms. */
async function echoTogether(port: number): Promise<number> {
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: OTHERS }, async (_, visitor) => {
      using socket = await dial(port);
      for (let n = 0; n < ECHOES; n++) await echo(socket, Buffer.from(`${visitor}: ${n}`));
    }),
  );
  return Math.round(performance.now() - startedAt);
}
