import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { availableParallelism, cpus, release, totalmem } from "node:os";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** What a figure depends on besides the programs. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly governor: string;
  readonly node: string;
  readonly iperf3: string;
  readonly openssl: string;
  readonly startedAt: string;
}

export async function machineFacts(): Promise<Machine> {
  const governor = await readFile("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "utf8").catch(
    () => "not told",
  );
  return {
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    governor: governor.trim(),
    node: process.versions.node,
    iperf3: await firstLine("iperf3", "--version"),
    openssl: process.versions.openssl ?? "unknown",
    startedAt: new Date().toISOString(),
  };
}

async function firstLine(command: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await execute(command, args).catch(() => ({ stdout: "unknown" }));
  return stdout.split("\n")[0]?.trim() ?? "unknown";
}
