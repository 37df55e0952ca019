import { persistently } from "./deadline.ts";
import type { Forked } from "./forked.ts";
import type { Holdings } from "./load-process.ts";

/** What a process must not have more of than before. Memory breathes, so it is for the test to judge. */
const COUNTED = ["descriptors", "timers", "sockets", "listeners", "streams"] as const;

/**
 * What the process holds when no stream is left, and nothing else that was not there `before`: sockets are closed some
 * turns after their streams.
 * @throws Error with what it does hold, when that never comes.
 */
export async function atRest(load: Forked, before?: Holdings): Promise<Holdings> {
  return await persistently(async () => {
    const now = await load.ask<Holdings>("holdings");
    const isMore = before !== undefined && COUNTED.some((name) => now[name] > before[name]);
    if (now.streams > 0 || isMore) throw new Error(JSON.stringify({ now, before }));
    return now;
  }, "nothing is left");
}
