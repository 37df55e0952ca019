import { lookup as systemLookup } from "node:dns";
import type { LookupFunction } from "node:net";
import type { Addresses } from "./name-question.ts";
import { NameQueue } from "./name-queue.ts";

/** libuv has four threads if nobody says otherwise, and lends half of them to name resolution. */
const SYSTEM_AT_ONCE = 2;
/** For a lookup of the caller's own, of which nothing is known. */
const OWN_AT_ONCE = 256;

const system = new NameQueue(systemLookup, SYSTEM_AT_ONCE);
const own = new WeakMap<LookupFunction, NameQueue>();

/**
 * Says how many threads libuv has (`UV_THREADPOOL_SIZE`), for the whole process. Half of them may ask the system's resolver,
 * and of more than two one is left to whoever else in the process looks up a name, the next dial of a client for one. Further
 * names would only wait inside libuv, where nobody takes turns.
 */
export function setThreadPoolSize(threads: number): void {
  const forNames = Math.max(1, Math.ceil(threads / 2));
  system.atOnce = forNames > 2 ? forNames - 1 : forNames;
}

function queueOf(lookup: LookupFunction | undefined): NameQueue {
  if (lookup === undefined) return system;
  const queue = own.get(lookup) ?? new NameQueue(lookup, OWN_AT_ONCE);
  own.set(lookup, queue);
  return queue;
}

/** One owner of name lookups, a session for one: owners take turns, see {@link NameQueue}. */
export class LookupShare {
  /**
   * The addresses of a name; waits for its turn first.
   * @param lookup Default: the system's resolver.
   * @throws CulvertError `resource_exhausted`; the resolver's error; the reason of `signal`.
   */
  addresses(host: string, signal: AbortSignal, lookup: LookupFunction | undefined): Promise<Addresses> {
    return new Promise((resolve, reject) => {
      let takeOff = (): void => undefined;
      const onAbort = (): void => {
        takeOff();
        reject(signal.reason);
      };
      const question = queueOf(lookup).question(host, this);
      signal.addEventListener("abort", onAbort, { once: true });
      takeOff = question.hear((error, addresses) => {
        signal.removeEventListener("abort", onAbort);
        if (error === undefined) resolve(addresses);
        else reject(error);
      });
    });
  }
}
