import { persistently } from "./deadline.ts";
import type { Forked } from "./forked.ts";
import type { Holdings } from "./load-process.ts";

/** How often is looked at what there was before: a link whose timer has just fired has none for two turns. */
const LOOKS_BEFORE = 3;

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
    return before === undefined ? await mostOf(load, now) : now;
  }, "nothing is left");
}

/** The most that it holds in some looks, of each. */
async function mostOf(load: Forked, first: Holdings): Promise<Holdings> {
  const most = { ...first };
  for (let look = 1; look < LOOKS_BEFORE; look += 1) {
    const now = await load.ask<Holdings>("holdings");
    for (const name of COUNTED) most[name] = Math.max(most[name], now[name]);
  }
  return most;
}
