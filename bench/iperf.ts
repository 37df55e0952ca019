import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** iperf3's own server on a free port of loopback. */
export class IperfServer {
  readonly #child: ChildProcess;
  readonly port: number;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  /** @throws Error when iperf3 is not installed. */
  static async start(): Promise<IperfServer> {
    const port = await freePort();
    const child = spawn("iperf3", ["-s", "-B", "127.0.0.1", "-p", String(port), "--forceflush"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    await Promise.race([
      once(child.stdout, "data"), // its banner comes when it listens
      once(child, "error").then(([error]) => {
        throw new Error("iperf3 is needed: apt-get install iperf3", { cause: error });
      }),
    ]);
    return new IperfServer(child, port);
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await once(this.#child, "exit");
  }
}

export type Direction = "up" | "down";

/** Gbit/s of one stream that arrived at the other end. */
export async function bulkRate(port: number, direction: Direction, seconds: number): Promise<number> {
  const flags = ["-c", "127.0.0.1", "-p", String(port), "-t", String(seconds), "-J"];
  if (direction === "down") flags.push("-R");
  for (;;) {
    // Its exit status is 1 when the server still closes the test before: then it says so, and is asked again.
    const { stdout } = await execute("iperf3", flags, { maxBuffer: 2 ** 26 }).catch(
      (error: { stdout: string }) => error,
    );
    const report = JSON.parse(stdout) as {
      error?: string;
      end?: { sum_received?: { bits_per_second: number } };
    };
    const rate = report.end?.sum_received?.bits_per_second;
    if (rate !== undefined) return rate / 1e9;
    if (report.error?.includes("busy") !== true) throw new Error(`iperf3: ${report.error}`);
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, "close");
  return port;
}

/** A connection with Nagle's algorithm off, or its error. */
export async function connected(port: number): Promise<ReturnType<typeof connect>> {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  await once(socket, "connect");
  return socket;
}
