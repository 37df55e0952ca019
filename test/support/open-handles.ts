import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { until } from "./deadline.ts";

const COUNTED = new Set(["TCPServerWrap", "TCPSocketWrap", "PipeServerWrap", "PipeWrap", "TCPConnectWrap"]);

/** The sockets that this process has open, as the kernel sees it and as Node does. */
export class OpenHandles {
  readonly #before = new Set(openSockets());
  readonly #activeBefore = activeHandles();

  /** What is open now and was not when this was made. */
  get added(): string[] {
    return openSockets().filter((socket) => !this.#before.has(socket));
  }

  /** Resolves when nothing is open that was not open then. @throws Error saying what is left. */
  async gone(patienceMs?: number): Promise<void> {
    const isGone = (): boolean => this.added.length === 0 && activeHandles() <= this.#activeBefore;
    await until(isGone, "all sockets are closed", patienceMs).catch((error: Error) => {
      const handles = process.getActiveResourcesInfo().filter((type) => COUNTED.has(type));
      throw new Error(
        `${error.message}; left: ${this.added.map(describe).join(", ")}; ${handles.join(", ")}`,
      );
    });
  }
}

/** The sockets among the open descriptors, by inode; none where the system does not tell. */
function openSockets(): string[] {
  let names: string[];
  try {
    names = readdirSync("/proc/self/fd");
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${name}`);
      return target.startsWith("socket:") ? [target] : [];
    } catch {
      return []; // closed meanwhile
    }
  });
}

/** With its addresses and state (01: established, 04 to 08: closing), if it is TCP over IPv4. */
function describe(socket: string): string {
  const inode = /\d+/.exec(socket)?.[0] ?? "";
  const line = readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((text) => text.trim().split(/\s+/))
    .find((fields) => fields[9] === inode);
  if (line === undefined) return socket;
  const port = (field: string | undefined): number => Number.parseInt(field?.split(":")[1] ?? "", 16);
  return `${socket} port ${port(line[1])} to port ${port(line[2])}, state ${line[3]}, queues ${line[4]}`;
}

function activeHandles(): number {
  return process.getActiveResourcesInfo().filter((type) => COUNTED.has(type)).length;
}
