import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort } from "./free-port.ts";
import { Program } from "./program.ts";
import { notListening } from "./socket-table.ts";

const execute = promisify(execFile);

/** iperf3's own server on a free port of loopback. */
export class IperfServer {
  readonly port: number;
  readonly #program: Program;

  private constructor(program: Program, port: number) {
    this.#program = program;
    this.port = port;
  }

  /** @throws Error when iperf3 does not start. */
  static async start(): Promise<IperfServer> {
    const port = await freePort();
    const program = new Program("iperf3", ["-s", "-B", "127.0.0.1", "-p", String(port)]);
    while ((await notListening([port])).length > 0) {
      program.check();
      await sleep(20);
    }
    return new IperfServer(program, port);
  }

  async stop(): Promise<void> {
    await this.#program.stop();
  }
}

export type Direction = "up" | "down" | "both";

export interface BulkOptions {
  readonly direction: Direction;
  readonly streams: number;
  readonly seconds: number;
  /** Seconds at the beginning that do not count. Default 0. */
  readonly omitSeconds?: number;
}

export interface BulkResult {
  /** What arrived at the other end, both directions together. */
  readonly gigabitsPerSecond: number;
  readonly gigabytes: number;
}

interface Sum {
  readonly bits_per_second: number;
  readonly bytes: number;
}

interface Report {
  readonly error?: string;
  readonly end?: { readonly sum_received?: Sum; readonly sum_received_bidir_reverse?: Sum };
}

/** Sends through `port` as fast as it takes it. @throws Error with iperf3's own words. */
export async function bulk(port: number, options: BulkOptions, signal: AbortSignal): Promise<BulkResult> {
  const flags = ["-c", "127.0.0.1", "-p", String(port), "-t", String(options.seconds), "-J"];
  if (options.direction === "down") flags.push("-R");
  if (options.direction === "both") flags.push("--bidir");
  if (options.streams > 1) flags.push("-P", String(options.streams));
  if (options.omitSeconds !== undefined) flags.push("-O", String(options.omitSeconds));
  for (;;) {
    const report = await run(flags, signal);
    const sums = [report.end?.sum_received, report.end?.sum_received_bidir_reverse].filter(
      (sum) => sum !== undefined,
    );
    if (sums.length > 0 && report.error === undefined) {
      return {
        gigabitsPerSecond: sums.reduce((sum, { bits_per_second }) => sum + bits_per_second, 0) / 1e9,
        gigabytes: sums.reduce((sum, { bytes }) => sum + bytes, 0) / 1e9,
      };
    }
    // It still closes the test before.
    if (report.error?.includes("busy") !== true) throw new Error(`iperf3: ${report.error ?? "no result"}`);
    await sleep(50, undefined, { signal });
  }
}

async function run(flags: readonly string[], signal: AbortSignal): Promise<Report> {
  signal.throwIfAborted();
  // Its exit status is 1 for what it tells in its report, too.
  const { stdout, stderr } = await execute("iperf3", flags, { maxBuffer: 2 ** 26, signal }).catch(
    (error: { stdout?: string; stderr?: string }) => ({ stdout: error.stdout, stderr: error.stderr }),
  );
  signal.throwIfAborted();
  try {
    return JSON.parse(stdout ?? "") as Report;
  } catch {
    return { error: stderr?.trim() || "it ended without a report" };
  }
}
