import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { until } from "../support/deadline.ts";
import { figuresOf, MIB, mib } from "./support/process-figures.ts";
import { dial, echo, Service } from "./support/sockets.ts";
import { MODES, TunnelRig } from "./support/tunnel-rig.ts";

const AT_ONCE = 1000;
const ROUNDS = 3;
const ONE_BY_ONE = 50_000;
/** By then the heap has grown to the size that it keeps; most of it is the young generation. */
const WARM_UP = 20_000;
const WORKERS = 20;
/** A heap breathes. What each of the other 30,000 connections left behind, a kilobyte say, would show. */
const MAX_GROWTH_BYTES = 30 * MIB;

describe.each(MODES)("many connections through %s", (mode) => {
  test("1,000 echo at the same time, and leave nothing behind", async () => {
    await using service = await Service.echo();
    await using rig = await TunnelRig.open(mode, service.port);
    const before = descriptors(rig);
    const visitors = await Promise.all(Array.from({ length: AT_ONCE }, () => dial(rig.port)));
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(visitors.map((visitor, n) => echo(visitor, message(n, round))));
    }
    expect(service.sockets.size).toBe(AT_ONCE);
    expect((await rig.client.sessionReport()).streams).toBe(AT_ONCE);

    await Promise.all(
      visitors.map(async (visitor) => {
        visitor.end();
        visitor.resume();
        await once(visitor, "close");
      }),
    );
    await quiet(rig, before);
  });

  test("50,000 come and go, and descriptors, streams and memory stay as they were", async () => {
    await using service = await Service.echo();
    await using rig = await TunnelRig.open(mode, service.port);
    const before = descriptors(rig);
    const startedAt = performance.now();
    await comeAndGo(rig.port, WARM_UP);
    await quiet(rig, before);
    const warm = memory(rig);
    await comeAndGo(rig.port, ONE_BY_ONE - WARM_UP);
    const elapsedMs = performance.now() - startedAt;
    await quiet(rig, before);
    const after = memory(rig);

    console.log(
      `${mode}: ${Math.round(ONE_BY_ONE / (elapsedMs / 1000))} connections a second; ` +
        `server ${mib(warm.server)} after ${WARM_UP}, ${mib(after.server)} after ${ONE_BY_ONE}; ` +
        `client ${mib(warm.client)}, ${mib(after.client)}`,
    );
    expect(after.server - warm.server).toBeLessThan(MAX_GROWTH_BYTES);
    expect(after.client - warm.client).toBeLessThan(MAX_GROWTH_BYTES);
    expect((await rig.client.sessionReport()).resumes).toBe(0);
  });
});

/** Opens, uses and closes connections, 20 at a time. */
async function comeAndGo(port: number, count: number): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      using visitor = await dial(port);
      await echo(visitor, message(next++, 0));
      visitor.end();
      visitor.resume();
      if (!visitor.closed) await once(visitor, "close");
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
}

function message(n: number, round: number): Buffer {
  return Buffer.from(`visitor ${n}, round ${round}: ${"x".repeat(n % 200)}`);
}

interface PerSide {
  readonly server: number;
  readonly client: number;
}

function descriptors({ server, client }: TunnelRig): PerSide {
  return { server: figuresOf(server.pid).descriptors, client: figuresOf(client.pid).descriptors };
}

function memory({ server, client }: TunnelRig): PerSide {
  return { server: figuresOf(server.pid).rssBytes, client: figuresOf(client.pid).rssBytes };
}

/** Waits until no stream is left, and no descriptor that was not there before. */
async function quiet(rig: TunnelRig, before: PerSide): Promise<void> {
  await until(
    async () => {
      const [client, server] = await Promise.all([rig.client.sessionReport(), rig.server.serverReport()]);
      return client.streams === 0 && server.streams === 0 && client.waitingOpens === 0;
    },
    "no stream is left",
    15_000,
    // The log lets a line of one kind pass once a second, after a burst.
    200,
  );
  await until(() => {
    const now = descriptors(rig);
    return now.server <= before.server && now.client <= before.client;
  }, "the descriptors are as many as before");
}
