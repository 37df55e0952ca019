import { readFile } from "node:fs/promises";

/** TCP sockets of this machine, from /proc/net/tcp and tcp6 (proc(5)). */
interface SocketEntry {
  /** The last four bytes of the address, as the kernel writes them: those of an IPv4 one in any table. */
  readonly localHost: string;
  readonly localPort: number;
  readonly remotePort: number;
  readonly state: number;
}

const ESTABLISHED = 0x01;
const LISTEN = 0x0a;
/** 127.0.0.1 */
const LOOPBACK = "0100007F";

/** Of these ports, those that nobody listens on yet. Looking in the table disturbs no server, as a connection would. */
export async function notListening(ports: readonly number[]): Promise<number[]> {
  const listening = new Set(
    (await entries()).filter(({ state }) => state === LISTEN).map(({ localPort }) => localPort),
  );
  return ports.filter((port) => !listening.has(port));
}

/** How many connections a server that listens on `port` of 127.0.0.1 has now. */
export async function connectionsTo(port: number): Promise<number> {
  return (await entries()).filter(
    ({ localHost, localPort, state }) =>
      localHost === LOOPBACK && localPort === port && state === ESTABLISHED,
  ).length;
}

async function entries(): Promise<SocketEntry[]> {
  const tables = await Promise.all(
    ["/proc/net/tcp", "/proc/net/tcp6"].map((path) => readFile(path, "latin1").catch(() => "")),
  );
  return tables.flatMap((table) => socketEntries(table));
}

/** The rows of one such table. */
export function socketEntries(table: string): SocketEntry[] {
  const row = /^\s*\d+: [0-9A-F]*([0-9A-F]{8}):([0-9A-F]{4}) [0-9A-F]+:([0-9A-F]{4}) ([0-9A-F]{2}) /gm;
  return [...table.matchAll(row)].map(([, localHost = "", local = "", remote = "", state = ""]) => ({
    localHost,
    localPort: Number.parseInt(local, 16),
    remotePort: Number.parseInt(remote, 16),
    state: Number.parseInt(state, 16),
  }));
}
