import { readFileSync } from "node:fs";

/** Node itself, the log, and the 300 strangers that a server has at most, see `maxUnauthenticated`. */
const OTHERS = 350;

/** Where the limit is not known, or there is none. As many as the option may be. */
const MOST = 1_000_000;

/** How many descriptors this process may have: the soft limit, which Node raises to the hard one. Undefined: nobody knows. */
export function descriptorLimit(file = "/proc/self/limits"): number | undefined {
  let limits: string;
  try {
    limits = readFileSync(file, "utf8");
  } catch {
    return undefined; // not Linux
  }
  const [, soft] = /^Max open files +(\d+) /m.exec(limits) ?? [];
  return soft === undefined ? undefined : Number(soft); // or "unlimited"
}

/**
 * How many sockets may be carried, so that there is always a descriptor for a WebSocket: without one nobody could come in or
 * resume. A tenth is left for those, and a quarter at most for the others.
 */
export function mostSockets(limit: number | undefined): number {
  if (limit === undefined) return MOST;
  const sockets = Math.floor(limit * 0.9 - Math.min(OTHERS, limit / 4));
  return Math.min(Math.max(sockets, 1), MOST);
}
