import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort, freePorts } from "./free-port.ts";
import type { LinkWay } from "./link/link.ts";
import { LinkProgram } from "./link/link-program.ts";
import type { Address, ClientRequest, Forward, Mode, Peer } from "./peers/peer.ts";
import type { Program } from "./program.ts";
import { notListening } from "./socket-table.ts";
import { TARGET_NAMES, type TargetPorts } from "./targets.ts";
import { connected, oneByte } from "./visitor.ts";

/** A link between client and server. */
export interface LinkSettings {
  readonly delayMs: number;
  readonly bytesPerSecond: number;
  readonly lossRate: number;
}

export interface TunnelSettings {
  readonly peer: Peer;
  readonly mode: Mode;
  readonly targets: TargetPorts;
  /** Default: none, the client dials the server itself. */
  readonly link?: LinkSettings;
  /** Clients of the one server; each but the first has a forward to the echo only. Default 1. */
  readonly clients?: number;
  /** Streams that one client is to carry at once. Default 256. */
  readonly streams?: number;
  /** Default false. */
  readonly withHeapProbe?: boolean;
}

/** For one client; each further one gets a part of a second. */
const READY_MS = 20_000;
const READY_MS_PER_CLIENT = 200;
const LINK_HOST = "127.0.0.2";
const DEFAULT_STREAMS = 256;
/** Draws the same losses for each peer. */
const SEED = 4_711;
/** Programs whose last words are told when a tunnel fails. */
const MOST_WORDS = 4;
/** Client processes that start at once. */
const STARTS = 4;

/** Keys and configurations that are still needed; whatever ends this process, they do not stay. */
const folders = new Set<string>();
process.once("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Server, clients and, if asked for, the link between them, all running. */
export class Tunnel {
  /** Where visitors connect to reach each target. */
  readonly ports: TargetPorts;
  /** Where each client's visitors reach the echo. */
  readonly echoPorts: readonly number[];
  readonly server: readonly Program[];
  readonly clients: readonly Program[];
  /** Where the server takes the client's connections. */
  readonly serverPorts: readonly number[];
  readonly #link: LinkProgram | undefined;
  readonly #folder: string;

  private constructor(parts: Parts, ports: TargetPorts, folder: string) {
    this.ports = ports;
    this.echoPorts = parts.echoPorts;
    this.server = parts.server;
    this.clients = parts.clients;
    this.serverPorts = parts.serverPorts;
    this.#link = parts.link;
    this.#folder = folder;
  }

  /**
   * Starts everything; resolves when a byte went through and came back.
   * @throws Error saying what the peer said last when it does not come up; nothing is left running then.
   */
  static async start(settings: TunnelSettings, signal: AbortSignal): Promise<Tunnel> {
    const folder = await mkdtemp(join(tmpdir(), "culvert-bench-"));
    folders.add(folder);
    const parts: Parts = { echoPorts: [], server: [], clients: [], serverPorts: [], link: undefined };
    try {
      const ports = await build(settings, folder, parts);
      await isReady(parts, READY_MS + (settings.clients ?? 1) * READY_MS_PER_CLIENT, signal);
      return new Tunnel(parts, ports, folder);
    } catch (error) {
      await end(parts, folder);
      throw error;
    }
  }

  get serverGroups(): number[] {
    return this.server.map(({ group }) => group);
  }

  get clientGroups(): number[] {
    return this.clients.map(({ group }) => group);
  }

  /** Resets every connection between client and server; resolves with how many there were. */
  async cut(): Promise<number> {
    if (this.#link === undefined) throw new Error("there is no link to cut");
    return this.#link.cut();
  }

  /** What its programs said last, for the report of a failure: that it was one of descriptors only they know. */
  get lastWords(): string {
    return wordsOf({ server: [...this.server], clients: [...this.clients] });
  }

  /** @throws Error if a process of it has ended. */
  check(): void {
    for (const program of [...this.server, ...this.clients]) program.check();
  }

  async stop(): Promise<void> {
    const { server, clients } = this;
    await end({ server: [...server], clients: [...clients], link: this.#link }, this.#folder);
  }
}

interface Parts {
  echoPorts: number[];
  server: Program[];
  clients: Program[];
  serverPorts: number[];
  link: LinkProgram | undefined;
}

async function build(settings: TunnelSettings, folder: string, parts: Parts): Promise<TargetPorts> {
  const { peer, mode, targets, link, clients = 1, streams = DEFAULT_STREAMS } = settings;
  const { withHeapProbe = false } = settings;
  const forwards: Forward[][] = [];
  for (let i = 0; i < clients; i += 1) {
    const names = i === 0 ? TARGET_NAMES : TARGET_NAMES.slice(0, 1);
    const listenPorts = await freePorts(names.length);
    forwards.push(names.map((name, at) => ({ listenPort: listenPorts[at] ?? 0, targetPort: targets[name] })));
  }
  const count = peer.portForEachForward === true ? forwards.flat().length : 1;
  const isDirect = peer.name === "direct";
  parts.serverPorts = isDirect
    ? forwards.flat().map(({ targetPort }) => targetPort)
    : peer.fixedPort !== undefined
      ? [peer.fixedPort]
      : await freePorts(count);
  await checkFree(peer);
  parts.server = [
    ...(await peer.startServer({
      ...{ mode, ports: parts.serverPorts, clients: forwards },
      ...{ folder, streams, withHeapProbe },
    })),
  ];
  await listens(parts, parts.serverPorts);
  const servers = await throughLink(parts, link, peer.fixedPort);
  const requests = forwards.map((own, index) => ({ mode, servers, forwards: own, index, folder, streams }));
  await startClients(peer, requests, parts);
  const listenPorts = isDirect
    ? servers.map(({ port }) => port)
    : forwards.flat().map(({ listenPort }) => listenPort);
  parts.echoPorts = isDirect ? listenPorts.slice(0, 1) : forwards.map(([echo]) => echo?.listenPort ?? 0);
  const [echo = 0, iperf = 0, answer = 0, serve = 0] = listenPorts;
  return { echo, iperf, answer, serve };
}

/** Somebody else's server on a fixed port would be measured in its place. */
async function checkFree({ fixedPort }: Peer): Promise<void> {
  if (fixedPort === undefined) return;
  if ((await notListening([fixedPort])).length === 0) throw new Error(`port ${fixedPort} is taken`);
}

async function listens(parts: Parts, ports: readonly number[]): Promise<void> {
  const deadline = performance.now() + READY_MS;
  while ((await notListening(ports)).length > 0) {
    for (const program of parts.server) program.check();
    if (performance.now() > deadline) throw new Error(`does not listen: ${wordsOf(parts)}`);
    await sleep(20);
  }
}

async function throughLink(
  parts: Parts,
  link: LinkSettings | undefined,
  fixedPort: number | undefined,
): Promise<Address[]> {
  if (link === undefined) return parts.serverPorts.map((port) => ({ host: "127.0.0.1", port }));
  const ways: LinkWay[] = [];
  for (const port of parts.serverPorts) {
    const listen =
      fixedPort === undefined
        ? { host: "127.0.0.1", port: await freePort() }
        : { host: LINK_HOST, port: fixedPort };
    ways.push({ listen, to: { host: "127.0.0.1", port } });
  }
  parts.link = await LinkProgram.start({ ...link, ways, seed: SEED });
  return ways.map(({ listen }) => listen);
}

async function startClients(peer: Peer, requests: readonly ClientRequest[], parts: Parts): Promise<void> {
  if (peer.startClients !== undefined && requests.length > 1) {
    parts.clients.push(...(await peer.startClients(requests)));
    return;
  }
  const waiting = [...requests];
  const startSome = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [first, ...more] = await peer.startClient(next);
      if (first !== undefined) parts.clients.push(first, ...more);
      const ports = next.forwards.map(({ listenPort }) => listenPort);
      // One after the other comes up, and not a herd: the machine is small, and handshakes have deadlines.
      const deadline = performance.now() + READY_MS;
      while (first !== undefined && (await notListening(ports)).length > 0) {
        for (const program of parts.clients) program.check();
        if (performance.now() > deadline) throw new Error(`does not come up: ${wordsOf(parts)}`);
        await sleep(50);
      }
    }
  };
  await Promise.all(Array.from({ length: STARTS }, startSome));
}

/** All ports are there, and a byte passes through the first and the last client. */
async function isReady(parts: Parts, withinMs: number, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + withinMs;
  const { echoPorts } = parts;
  for (;;) {
    signal.throwIfAborted();
    for (const program of [...parts.server, ...parts.clients]) program.check();
    if ((await notListening(echoPorts)).length === 0) {
      const both = [echoPorts[0] ?? 0, echoPorts.at(-1) ?? 0];
      if ((await Promise.all(both.map((port) => answers(port, signal)))).every((it) => it)) return;
    }
    if (performance.now() > deadline) throw new Error(`is not ready: ${wordsOf(parts)}`);
    await sleep(100, undefined, { signal });
  }
}

async function answers(port: number, signal: AbortSignal): Promise<boolean> {
  try {
    const socket = await connected(port, AbortSignal.any([signal, AbortSignal.timeout(2_000)]));
    try {
      await oneByte(socket);
      return true;
    } finally {
      socket.destroy();
    }
  } catch {
    return false;
  }
}

function wordsOf({ server, clients }: Pick<Parts, "server" | "clients">): string {
  const words = [...server, ...clients].map(({ lastWords }) => lastWords).filter((it) => it !== "");
  return words.slice(0, MOST_WORDS).join("; ") || "no process of it says why";
}

async function end(parts: Pick<Parts, "server" | "clients" | "link">, folder: string): Promise<void> {
  // The clients first: a server that goes would only make them try again.
  await Promise.all(parts.clients.map((program) => program.stop()));
  await Promise.all(parts.server.map((program) => program.stop()));
  await parts.link?.stop();
  await rm(folder, { recursive: true, force: true });
  folders.delete(folder);
}
