import { setTimeout as sleep } from "node:timers/promises";
import { type Contender, nameOf } from "./contender.ts";
import { bulk } from "./iperf.ts";
import { connectionRate } from "./measures/connections.ts";
import { connectionsTo } from "./socket-table.ts";
import type { TargetPorts } from "./targets.ts";
import { type LinkSettings, Tunnel } from "./tunnel.ts";
import { connected, oneByte } from "./visitor.ts";

/** Streams that are open while connections are counted. */
const COUNTED_STREAMS = 16;
const SETTLE_MS = 200;
const WARM_BULK_SECONDS = 1;
const WARM_CONNECTION_SECONDS = 0.5;

/** The running tunnels of all contenders, for as long as the link between their ends stays the same. */
export class TunnelPool {
  readonly #targets: TargetPorts;
  readonly #tunnels = new Map<string, Tunnel>();
  /** TCP connections between client and server with 16 streams open, by the contender's name. */
  readonly connections: Map<string, number> = new Map();
  #link: LinkSettings | undefined;

  constructor(targets: TargetPorts) {
    this.#targets = targets;
  }

  /** From now on tunnels have this link; those that have another one end. */
  async use(link: LinkSettings | undefined): Promise<void> {
    if (JSON.stringify(link) !== JSON.stringify(this.#link)) await this.stop();
    this.#link = link;
  }

  /** The contender's tunnel, started and warm. */
  async get(contender: Contender, signal: AbortSignal): Promise<Tunnel> {
    const name = nameOf(contender);
    const running = this.#tunnels.get(name);
    if (running !== undefined) {
      running.check();
      return running;
    }
    const link = this.#link === undefined ? {} : { link: this.#link };
    const tunnel = await Tunnel.start({ ...contender, targets: this.#targets, ...link }, signal);
    this.#tunnels.set(name, tunnel);
    if (!this.connections.has(name)) {
      const used = contender.peer.kind === "limit" ? COUNTED_STREAMS : await connectionsUsed(tunnel, signal);
      this.connections.set(name, used);
    }
    if (this.#link === undefined) await warm(tunnel, signal);
    return tunnel;
  }

  /** What the programs of its running tunnel said last. */
  lastWords(contender: Contender): string | undefined {
    return this.#tunnels.get(nameOf(contender))?.lastWords;
  }

  /** Ends a tunnel in which something failed: the next step gets a new one. */
  async drop(contender: Contender): Promise<void> {
    const name = nameOf(contender);
    const tunnel = this.#tunnels.get(name);
    this.#tunnels.delete(name);
    await tunnel?.stop();
  }

  async stop(): Promise<void> {
    const tunnels = [...this.#tunnels.values()];
    this.#tunnels.clear();
    await Promise.all(tunnels.map((tunnel) => tunnel.stop()));
  }
}

/** A tunnel lives for months: its first seconds, in which Node compiles it, are not what it is measured by. */
async function warm(tunnel: Tunnel, signal: AbortSignal): Promise<void> {
  const bulkOptions = { streams: 1, seconds: WARM_BULK_SECONDS };
  await bulk(tunnel.ports.iperf, { direction: "both", ...bulkOptions }, signal);
  await connectionRate(tunnel.ports.echo, 8, WARM_CONNECTION_SECONDS, signal);
}

/** With a few streams open and used; looked up in the kernel's table, not believed. */
async function connectionsUsed(tunnel: Tunnel, signal: AbortSignal): Promise<number> {
  await sleep(SETTLE_MS, undefined, { signal }); // the one that showed that it is ready is closing
  const sockets = await Promise.all(
    Array.from({ length: COUNTED_STREAMS }, () => connected(tunnel.ports.echo, signal)),
  );
  try {
    await Promise.all(sockets.map(oneByte));
    const counts = await Promise.all(tunnel.serverPorts.map(connectionsTo));
    return counts.reduce((sum, count) => sum + count, 0);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}
