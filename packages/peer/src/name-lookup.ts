import { isIP, type LookupFunction } from "node:net";
import { LookupShare } from "./lookup-share.ts";
import type { Addresses } from "./name-question.ts";

export interface NameLookupOptions {
  /** Finds the addresses of a name, as for `net.connect`; default is the system's resolver. */
  readonly lookup?: LookupFunction | undefined;
  /** Whose question it is. Default: nobody's, so that only the bound of the process counts. */
  readonly share?: LookupShare | undefined;
}

/**
 * The addresses of `host`, in the resolver's order; an IP address is its own.
 *
 * Rejects with the resolver's error, with CulvertError `resource_exhausted`, or with the reason of `signal`: the system's
 * resolver cannot be stopped and keeps its thread until it gives up by itself, but nobody waits for it any longer.
 */
export async function lookupAddresses(
  host: string,
  signal: AbortSignal,
  { lookup, share = new LookupShare() }: NameLookupOptions = {},
): Promise<Addresses> {
  signal.throwIfAborted();
  const family = isIP(host);
  if (family !== 0) return [{ address: host, family }];
  return await share.addresses(host, signal, lookup);
}
