import { canonicalIpv6, ipv6Groups } from "@culvert/protocol";
import { isLoopbackHost } from "./arrival-path.ts";

/**
 * As which address somebody counts where one address may have a share only. An IPv6 one counts by its /64, which is what
 * one host usually has. Undefined for loopback, which is not counted: behind a reverse proxy on the same machine everybody
 * comes from there, and counting would count strangers together.
 */
export function countedAddress(address: string | undefined): string | undefined {
  if (address === undefined || isLoopbackHost(address)) return undefined;
  const host = address.includes(":") ? canonicalIpv6(address.replace(/%.*$/, "")) : address;
  const network = ipv6Groups(host)?.slice(0, 4);
  return network?.map((group) => group.toString(16)).join(":") ?? host;
}
