import { isIP, type LookupFunction } from "node:net";
import { LookupShare } from "./lookup-share.ts";
import type { Addresses } from "./name-question.ts";

export interface NameLookupOptions {
  /** Finds the addresses of a name, as for `net.connect`; default is the system's resolver. */
  readonly lookup?: LookupFunction | undefined;
  /** Whose question it is. Default: an owner of its own. */
  readonly share?: LookupShare | undefined;
}

/**
 * The addresses of `host`, in the resolver's order; an IP address is its own, and `localhost` is what it must be (RFC 6761
 * section 6.3), so that neither waits behind names that nobody answers.
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
  if (lookup === undefined && LOCALHOST.test(host)) return LOOPBACK;
  return await share.addresses(host, signal, lookup);
}

const LOCALHOST = /^localhost\.?$/i;
const LOOPBACK: Addresses = [
  { address: "127.0.0.1", family: 4 },
  { address: "::1", family: 6 },
];
