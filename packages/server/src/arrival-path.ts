import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";
import type { Duplex } from "node:stream";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** Is this a host to listen on that only the same machine can reach? */
export function isLoopbackHost(host: string): boolean {
  const family = isIP(host);
  if (family === 0) return host.toLowerCase() === "localhost";
  // BlockList also unmaps ::ffff:127.0.0.1.
  return LOOPBACK.check(host, family === 6 ? "ipv6" : "ipv4");
}

/** Both ends must be: only then nobody has bent the way here. A unix socket has no addresses, and is as local. */
export function arrivedByLoopback(socket: Duplex): boolean {
  const { localAddress, remoteAddress } = socket as Partial<
    Record<"localAddress" | "remoteAddress", unknown>
  >;
  const addresses = [localAddress, remoteAddress];
  if (addresses.every((address) => address === undefined)) return true;
  return addresses.every((address) => typeof address === "string" && isLoopbackHost(address));
}

/** The usual marks of a reverse proxy (RFC 7239; RFC 9110 section 7.6.3). One that leaves none cannot be told. */
export function isProxied({ headers }: IncomingMessage): boolean {
  return Object.keys(headers).some((name) => /^(?:forwarded|x-forwarded-.*|x-real-ip|via)$/.test(name));
}

/** It came over loopback at both ends, and through no proxy that says so: behind one everybody comes over loopback. */
export function isLocalRequest(request: IncomingMessage, socket: Duplex): boolean {
  return arrivedByLoopback(socket) && !isProxied(request);
}
