import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";

const CULVERT = join(import.meta.dirname, "..", "node_modules", ".bin", "culvert");

/** Both ends of a tunnel as processes of their own, as a user would run them, on a plain WebSocket over loopback. */
export class TunnelProcesses {
  readonly #server: ChildProcess;
  readonly #client: ChildProcess;
  /** Where visitors connect in CONNECT mode and in LISTEN mode. */
  readonly localPort: number;
  readonly remotePort: number;

  private constructor(server: ChildProcess, client: ChildProcess, localPort: number, remotePort: number) {
    this.#server = server;
    this.#client = client;
    this.localPort = localPort;
    this.remotePort = remotePort;
  }

  /** Starts a server and a client with one tunnel in each mode to `targetPort`; resolves when both are ready. */
  static async start(targetPort: number): Promise<TunnelProcesses> {
    const server = run("server", "--port", "0", "--json");
    const listening = await line(server, (it) => it.ready === "server");
    const target = `127.0.0.1:${targetPort}`;
    const client = run("client", String(listening.url), "--json", "-L", `0:${target}`, "-R", `0:${target}`);
    const ports = new Map<string, number>();
    await line(client, (it) => {
      if (it.ready === "tunnel") ports.set(String(it.side), portOf(String(it.listen)));
      return ports.size === 2;
    });
    return new TunnelProcesses(server, client, ports.get("local") ?? 0, ports.get("remote") ?? 0);
  }

  /** CPU seconds that both processes have used so far, from /proc (Linux). */
  async cpuSeconds(): Promise<{ readonly client: number; readonly server: number }> {
    return { client: await cpuOf(this.#client), server: await cpuOf(this.#server) };
  }

  async stop(): Promise<void> {
    for (const child of [this.#client, this.#server]) {
      if (child.exitCode !== null) continue;
      child.kill("SIGTERM");
      await once(child, "exit");
    }
  }
}

function run(...args: string[]): ChildProcess {
  const child = spawn(CULVERT, [...args, "--log-level", "warn"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  process.once("exit", () => child.kill("SIGKILL")); // however this ends, it leaves nothing behind
  return child;
}

async function line(
  child: ChildProcess,
  isIt: (line: Readonly<Record<string, unknown>>) => boolean,
): Promise<Readonly<Record<string, unknown>>> {
  if (child.stdout === null) throw new Error("no stdout");
  for await (const text of createInterface({ input: child.stdout })) {
    const parsed = JSON.parse(text) as Readonly<Record<string, unknown>>;
    if (isIt(parsed)) {
      child.stdout.resume();
      return parsed;
    }
  }
  throw new Error("culvert ended before it was ready");
}

function portOf(endpoint: string): number {
  return Number(endpoint.slice(endpoint.lastIndexOf(":") + 1));
}

async function cpuOf(child: ChildProcess): Promise<number> {
  const stat = await readFile(`/proc/${child.pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100; // utime and stime in ticks of 10 ms, proc(5)
}
