import { type LookupAddress, lookup as systemLookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";

/**
 * The addresses of `host`, in the resolver's order; an IP address is its own.
 *
 * Rejects with the resolver's error, or with the reason of `signal`: the system's resolver cannot be stopped and keeps its
 * thread until it gives up by itself, but nobody waits for it any longer.
 */
export async function lookupAddresses(
  host: string,
  signal: AbortSignal,
  lookup?: LookupFunction,
): Promise<readonly LookupAddress[]> {
  signal.throwIfAborted();
  const family = isIP(host);
  if (family !== 0) return [{ address: host, family }];
  const answer = lookup === undefined ? sharedLookup(host) : ask(host, lookup);
  return await new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort);
    answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

const inFlight = new Map<string, Promise<readonly LookupAddress[]>>();

/**
 * One question at a time for each name. libuv lends two of its four threads to the resolver; a thousand visitors of one
 * dead name would otherwise queue a thousand time-outs in front of every other name. Answers are not kept: the
 * resolver knows how long they are good for, and we do not.
 */
function sharedLookup(host: string): Promise<readonly LookupAddress[]> {
  let answer = inFlight.get(host);
  if (answer === undefined) {
    answer = ask(host, systemLookup).finally(() => inFlight.delete(host));
    inFlight.set(host, answer);
  }
  return answer;
}

function ask(host: string, lookup: LookupFunction): Promise<readonly LookupAddress[]> {
  return new Promise((resolve, reject) => {
    lookup(host, { all: true }, (error, addresses, family) => {
      if (error !== null && error !== undefined) reject(error);
      // A lookup of somebody's own may ignore `all`, or find nothing without calling it an error.
      else if (typeof addresses === "string")
        resolve([{ address: addresses, family: family ?? isIP(addresses) }]);
      else if (addresses.length === 0)
        reject(Object.assign(new Error(`no address for ${host}`), { code: "ENOTFOUND" }));
      else resolve(addresses);
    });
  });
}
