import { readFile } from "node:fs/promises";
import { familyOf, processTable } from "./process-tree.ts";

/** Ticks of utime and stime: USER_HZ, 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** User and system time so far of programs with all that they forked, also of children that have ended. */
export function cpuSecondsOf(groups: readonly number[]): number {
  const family = familyOf(groups, processTable());
  return family.reduce((sum, { ticks }) => sum + ticks, 0) / TICKS_PER_SECOND;
}

/** Resident memory of programs with all that they forked; pages that several of them share count once. */
export async function memoryBytesOf(groups: readonly number[]): Promise<number> {
  const family = familyOf(groups, processTable());
  const sizes = await Promise.all(family.map(({ pid }) => residentBytes(pid, family.length > 1)));
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}

/** Of one process RSS; of several the proportional share, or forks would count the same pages again and again. */
async function residentBytes(pid: number, isOneOfSeveral: boolean): Promise<number> {
  const file = isOneOfSeveral ? "smaps_rollup" : "status";
  const text = await readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
  return Number(/^(?:Pss|VmRSS):\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}

/** What the machine could still give to processes without swapping. */
export async function availableBytes(): Promise<number> {
  const text = await readFile("/proc/meminfo", "utf8");
  return Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}
