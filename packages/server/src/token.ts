import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";
import type { Duplex } from "node:stream";
import type { HttpAnswer } from "./http-answer.ts";

/** Who is asking: an owner, within whom client names are unique; or why nobody is let in. */
type Authentication =
  | { readonly kind: "owner"; readonly owner: string }
  | { readonly kind: "refused"; readonly answer: HttpAnswer };

/** Decides who sent an upgrade request. The one place for it: every transport passes here before its 101. */
export type Authenticate = (request: IncomingMessage, socket: Duplex) => Authentication;

const UNAUTHORIZED: Authentication = {
  kind: "refused",
  answer: {
    status: 401,
    text: "A valid token is needed: Authorization: Bearer <token>.",
    headers: { "WWW-Authenticate": 'Bearer realm="culvert"' },
  },
};

const NOT_LOOPBACK: Authentication = {
  kind: "refused",
  answer: { status: 403, text: "Without a token this server answers on loopback only." },
};

const PROXIED: Authentication = {
  kind: "refused",
  answer: {
    status: 403,
    text: "Without a token this server answers to its own machine only, and this request came through a proxy. Set a token.",
  },
};

/**
 * One token shared by all clients; without one, whoever comes in over loopback and not through a
 * proxy that says so: behind a proxy on the same machine everybody would come over loopback. The token is kept as a digest, and
 * digests are compared in constant time, so that neither its bytes nor its length can be measured.
 */
export function sharedToken(token: string | undefined): Authenticate {
  if (token === undefined) {
    // The options refuse a public host without a token; a mounted server learns only here where it is reachable.
    return (request, socket) => {
      if (!arrivedByLoopback(socket)) return NOT_LOOPBACK;
      return isProxied(request) ? PROXIED : { kind: "owner", owner: "loopback" };
    };
  }
  const expected = sha256(token);
  return (request) => {
    const given = /^Bearer +([\x21-\x7e]+)$/i.exec(request.headers.authorization ?? "")?.[1] ?? "";
    return timingSafeEqual(sha256(given), expected) ? { kind: "owner", owner: "token" } : UNAUTHORIZED;
  };
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

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
function arrivedByLoopback(socket: Duplex): boolean {
  const { localAddress, remoteAddress } = socket as Partial<
    Record<"localAddress" | "remoteAddress", unknown>
  >;
  const addresses = [localAddress, remoteAddress];
  if (addresses.every((address) => address === undefined)) return true;
  return addresses.every((address) => typeof address === "string" && isLoopbackHost(address));
}

/** The usual marks of a reverse proxy (RFC 7239; RFC 9110 section 7.6.3). One that leaves none cannot be told. */
function isProxied({ headers }: IncomingMessage): boolean {
  return Object.keys(headers).some((name) => /^(?:forwarded|x-forwarded-.*|x-real-ip|via)$/.test(name));
}
