import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Logger } from "@culvert/peer";
import { type Grants, type GrantsInput, hasExpired, parseGrants } from "@culvert/policy";
import type { PeerCertificate } from "./peer-certificate.ts";
import { pathOf } from "./request-path.ts";

/** What an {@link AuthenticateHook} is told of an upgrade request. */
export interface AuthenticationRequest {
  /** The path that was asked for, without its query. */
  readonly path: string;
  /** The request's target as it came, query included. It may hold secrets; do not log it. */
  readonly url: string;
  /** All headers, lower-case names. Whoever sends the request writes them: `X-Forwarded-For` and the like prove nothing. */
  readonly headers: Readonly<IncomingHttpHeaders>;
  /** What stands behind `Authorization: Bearer`; undefined without. */
  readonly bearer: string | undefined;
  /** Of the TCP connection, which may be a proxy's. Undefined on a unix socket. */
  readonly remoteAddress: string | undefined;
  /** It came over loopback at both ends, and through no proxy that says so. */
  readonly isLocal: boolean;
  /** That of a client whose certificate TLS has verified. */
  readonly certificate: PeerCertificate | undefined;
  /** Aborted when the client is gone, or the time is over (`handshakeTimeoutMs`). */
  readonly signal: AbortSignal;
}

/** Who it is, says the hook. */
export interface AuthenticatedAs {
  /** 1 to 200 characters, none of them a control character. The identity is called `hook:NAME`. */
  readonly name: string;
  /** What it may do; without, what `allowConnect` and `allowListen` say. */
  readonly grants?: GrantsInput | undefined;
  /** Until when, ms since the epoch: its sessions end then. Default: for ever. */
  readonly expiresAt?: number | undefined;
}

/**
 * Says who sent a request; `undefined` refuses it. What it throws is logged here, and refuses as well: for good, as far as the
 * client is concerned. A directory that cannot be asked now should be asked again until the signal is aborted, which has the client
 * come back later. Failures are counted against an address where they show the header `Authorization`; a hook that reads something
 * else, as a signature in the query or a cookie, must see to it that it cannot be guessed.
 */
export type AuthenticateHook = (
  request: AuthenticationRequest,
) => Promise<AuthenticatedAs | undefined> | AuthenticatedAs | undefined;

/** What a hook said, checked. `failed`: nothing that counts, which is nobody's guess. `late`: nothing in time. */
export type HookAnswer =
  | {
      readonly kind: "somebody";
      readonly name: string;
      readonly grants: Grants | undefined;
      readonly expiresAt: number | undefined;
    }
  | { readonly kind: "nobody" }
  | { readonly kind: "failed" }
  | { readonly kind: "late" };

export interface HookQuestion {
  readonly bearer: string | undefined;
  readonly certificate: PeerCertificate | undefined;
  readonly isLocal: boolean;
  readonly timeoutMs: number;
  readonly logger: Logger;
}

const NAME = /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]{1,200}$/u;

/** Asks the hook, for as long as the client is there and the time allows. Never rejects. */
export async function askHook(
  hook: AuthenticateHook,
  request: IncomingMessage,
  socket: Duplex,
  { bearer, certificate, isLocal, timeoutMs, logger }: HookQuestion,
): Promise<HookAnswer> {
  const abort = new AbortController();
  const { remoteAddress } = socket as { remoteAddress?: string };
  const { promise: gone, resolve: giveUp } = Promise.withResolvers<HookAnswer>();
  const onClose = (): void => giveUp({ kind: "failed" });
  socket.once("close", onClose);
  const timer = setTimeout(() => {
    logger.warn({ remoteAddress, timeoutMs }, "the authenticate option did not answer in time");
    giveUp({ kind: "late" });
  }, timeoutMs);
  let answer: HookAnswer = { kind: "failed" };
  try {
    const said = Promise.resolve(
      hook({
        path: pathOf(request),
        url: request.url ?? "",
        headers: request.headers,
        bearer,
        remoteAddress,
        isLocal,
        certificate,
        signal: abort.signal,
      }),
    ).then((as): HookAnswer => (as === undefined || as === null ? { kind: "nobody" } : checked(as)));
    answer = await Promise.race([said, gone]); // a race also hears what fails after it
  } catch (error) {
    logger.warn({ remoteAddress, cause: String(error) }, "the authenticate option failed");
  } finally {
    clearTimeout(timer);
    socket.off("close", onClose);
    abort.abort();
  }
  return answer;
}

/** @throws when it is not what {@link AuthenticatedAs} says: a hook that is wrong about one thing is believed nothing. */
function checked({ name, grants, expiresAt }: AuthenticatedAs): HookAnswer {
  if (typeof name !== "string" || !NAME.test(name)) {
    throw new TypeError("name must be 1 to 200 characters, none of them a control character");
  }
  if (expiresAt !== undefined && !Number.isFinite(expiresAt)) {
    throw new TypeError("expiresAt must be a number of milliseconds since the epoch");
  }
  if (hasExpired(expiresAt, Date.now())) return { kind: "nobody" };
  const parsed = grants === undefined ? undefined : parseGrants(grants, "grants");
  return { kind: "somebody", name, grants: parsed, expiresAt };
}
