import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { open, withSockets } from "../held-connections.ts";
import { availableBytes, memoryBytesOf } from "../process-figures.ts";
import { Program } from "../program.ts";
import type { Settings } from "../settings.ts";
import type { Tunnel } from "../tunnel.ts";
import type { Figure } from "./figure.ts";
import type { Step, StepContext } from "./step.ts";

/** Used before memory is read for the first time: code that is compiled then is no cost of a stream. */
const WARM_CONNECTIONS = 64;
const SETTLE_MS = 1_500;
const MIB = 2 ** 20;
const KIB = 2 ** 10;
/** More than this is not taken from a machine for clients that are not measured themselves. */
const RESERVE_BYTES = 2 * 2 ** 30;

const number = new Intl.NumberFormat("en-US");

interface FigureText {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
}

function figures(section: string, texts: readonly FigureText[]): Figure[] {
  return texts.map(({ id, title, unit }) => ({
    id: `memory-${id}`,
    measure: "memory",
    section,
    title,
    unit,
    better: "lower",
    digits: unit === "KiB" ? 1 : 0,
    noRatio: id.endsWith("-heap"), // of no peer it is known
  }));
}

/** After a full collection; undefined of a server that has no probe. */
async function heapBytes(server: Program | undefined): Promise<number | undefined> {
  if (server?.child.connected !== true) return undefined;
  const answer = once(server.child, "message");
  server.child.send("heap");
  const [{ heapBytes: bytes }] = (await answer) as [{ heapBytes: number }];
  return bytes;
}

/** As many bare sockets in a bare Node process. */
async function bareSockets(count: number, signal: AbortSignal): Promise<(number | undefined)[]> {
  const program = new Program(process.execPath, [join(import.meta.dirname, "..", "idle-process.ts")], {
    ipc: true,
  });
  try {
    const [port] = (await Promise.race([
      once(program.child, "message"),
      program.ended.then(() => program.check()),
    ])) as [number];
    return await withSockets(async (sockets) => {
      await open(port, WARM_CONNECTIONS, sockets, signal);
      await sleep(SETTLE_MS, undefined, { signal });
      const before = await memoryBytesOf([program.group]);
      await open(port, count, sockets, signal);
      await sleep(SETTLE_MS, undefined, { signal });
      const after = await memoryBytesOf([program.group]);
      return [after / MIB, (after - before) / count / KIB];
    });
  } finally {
    await program.stop();
  }
}

async function idleStreams(
  tunnel: Tunnel,
  count: number,
  signal: AbortSignal,
): Promise<(number | undefined)[]> {
  return withSockets(async (sockets) => {
    await open(tunnel.ports.echo, WARM_CONNECTIONS, sockets, signal);
    await sleep(SETTLE_MS, undefined, { signal });
    const [server, client] = [
      await memoryBytesOf(tunnel.serverGroups),
      await memoryBytesOf(tunnel.clientGroups),
    ];
    await open(tunnel.ports.echo, count, sockets, signal);
    await sleep(SETTLE_MS, undefined, { signal });
    const [serverAfter, clientAfter] = [
      await memoryBytesOf(tunnel.serverGroups),
      await memoryBytesOf(tunnel.clientGroups),
    ];
    const heap = await heapBytes(tunnel.server[0]);
    tunnel.check();
    return [
      serverAfter / MIB,
      (serverAfter - server) / count / KIB,
      clientAfter / MIB,
      (clientAfter - client) / count / KIB,
      heap === undefined ? undefined : heap / MIB,
    ];
  });
}

function streamStep(count: number): Step {
  const id = `streams-${count}`;
  return {
    figures: figures(`${number.format(count)} idle streams of one client`, [
      { id: `${id}-server`, title: "server RSS", unit: "MiB" },
      { id: `${id}-server-each`, title: "server, each stream", unit: "KiB" },
      { id: `${id}-client`, title: "client RSS", unit: "MiB" },
      { id: `${id}-client-each`, title: "client, each stream", unit: "KiB" },
      { id: `${id}-heap`, title: "server heap", unit: "MiB" },
    ]),
    seconds: 3 + count / 500,
    maxSeconds: 30 + count / 50,
    run: async (context) => {
      refuseThousands(context);
      const { contender, signal } = context;
      if (contender.peer.name === "direct") {
        return [...(await bareSockets(count, signal)), undefined, undefined, undefined];
      }
      return context.withTunnel({ streams: count + WARM_CONNECTIONS, withHeapProbe: true }, (tunnel) =>
        idleStreams(tunnel, count, signal),
      );
    },
  };
}

async function idleClients(context: StepContext, count: number): Promise<(number | undefined)[]> {
  const settled = async (tunnel: Tunnel): Promise<number> => {
    await sleep(SETTLE_MS, undefined, { signal: context.signal });
    return memoryBytesOf(tunnel.serverGroups);
  };
  const before = await context.withTunnel({ withHeapProbe: true }, settled);
  const watch = new AbortController();
  const enough = watchMemory(watch);
  const signal = AbortSignal.any([context.signal, watch.signal]);
  try {
    return await context.withTunnel(
      { clients: count, withHeapProbe: true },
      async (tunnel) => {
        const after = await settled(tunnel);
        const heap = await heapBytes(tunnel.server[0]);
        tunnel.check();
        return [
          after / MIB,
          (after - before) / Math.max(1, count - 1) / KIB,
          heap === undefined ? undefined : heap / MIB,
        ];
      },
      signal,
    );
  } finally {
    clearInterval(enough);
  }
}

/** A thousand processes of some peers do not fit into small machines: better a failed cell than a killed one. */
function watchMemory(abort: AbortController): NodeJS.Timeout {
  return setInterval(async () => {
    if ((await availableBytes()) < RESERVE_BYTES) {
      abort.abort(new Error("the machine has not enough memory for so many client processes"));
    }
  }, 500);
}

/** @throws Error with the reason, for a peer that would take a machine down. */
export function refuseThousands({ contender: { peer } }: StepContext): void {
  if (peer.notForThousands !== undefined) throw new Error(`not measured: ${peer.notForThousands}`);
}

function clientStep(count: number): Step {
  const id = `clients-${count}`;
  return {
    figures: figures(`${number.format(count)} idle clients with a tunnel each`, [
      { id: `${id}-server`, title: "server RSS", unit: "MiB" },
      { id: `${id}-server-each`, title: "server, each client", unit: "KiB" },
      { id: `${id}-heap`, title: "server heap", unit: "MiB" },
    ]),
    seconds: 4 + count / 20,
    maxSeconds: 60 + count / 2,
    run: async (context) => {
      refuseThousands(context);
      if (context.contender.peer.name === "direct") {
        return [...(await bareSockets(count, context.signal)), undefined];
      }
      return idleClients(context, count);
    },
  };
}

/** Idle streams of one client, and idle clients. */
export function memorySteps({ idleStreams: counts, idleClients: clients }: Settings): Step[] {
  return [...counts.map(streamStep), ...(clients > 0 ? [clientStep(clients)] : [])];
}
