import { readdirSync, readFileSync } from "node:fs";

/** What /proc says of one process (proc(5), Linux). */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** utime, stime, and those of children that were waited for. */
  readonly ticks: number;
}

/** All processes of the machine. Read at once: between two reads a process may get another parent. */
export function processTable(): ProcessEntry[] {
  const entries: ProcessEntry[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      entries.push(processEntry(readFileSync(`/proc/${name}/stat`, "latin1")));
    } catch {
      // It ended meanwhile.
    }
  }
  return entries;
}

/** Reads one line of /proc/PID/stat. The name in it is in brackets and may hold anything, brackets too. */
export function processEntry(stat: string): ProcessEntry {
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const [, parent = 0, group = 0] = fields;
  const ticks = fields.slice(11, 15).reduce((sum, value) => sum + value, 0);
  return { pid: Number.parseInt(stat, 10), parent, group, ticks };
}

/** The processes of these groups and all that descend from them: sshd puts each session into a group of its own. */
export function familyOf(groups: readonly number[], table: readonly ProcessEntry[]): ProcessEntry[] {
  const wanted = new Set(groups.filter((group) => group > 0));
  const children = Map.groupBy(table, ({ parent }) => parent);
  const family = new Map<number, ProcessEntry>();
  const add = (entry: ProcessEntry): void => {
    if (family.has(entry.pid)) return;
    family.set(entry.pid, entry);
    for (const child of children.get(entry.pid) ?? []) add(child);
  };
  for (const entry of table) if (wanted.has(entry.group)) add(entry);
  return [...family.values()];
}
