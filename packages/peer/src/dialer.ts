import { isIP, type LookupFunction, type Socket } from "node:net";
import { CulvertError, checkTarget, type Endpoint, type ErrorCode, formatEndpoint } from "@culvert/protocol";
import { type Candidate, interleaveFamilies, raceConnections } from "./connection-race.ts";
import type { LookupShare } from "./lookup-share.ts";
import { lookupAddresses } from "./name-lookup.ts";
import type { Addresses } from "./name-question.ts";
import { codeOf } from "./system-error.ts";

export interface DialOptions {
  /** For everything: finding the name and connecting. */
  readonly timeoutMs: number;
  /** Gives up. Its reason, if it is a CulvertError, says why. */
  readonly signal?: AbortSignal;
  /** Finds the addresses of a name, as for `net.connect`; default is the system's resolver. */
  readonly lookup?: LookupFunction | undefined;
  /** Whose name lookups these are; default: nobody's, see {@link LookupShare}. */
  readonly lookupShare?: LookupShare | undefined;
  /**
   * Judges each IP address before it is dialed: why not, or undefined. Between the look-up and the connection, and what is
   * connected to is the very address that was judged, so that a name cannot answer one thing to who asks and another to who
   * dials. Default: all are dialed.
   */
  readonly faultOf?: ((address: string) => CulvertError | undefined) | undefined;
  /**
   * Called before the promise resolves with the address that was dialed, as `faultOf` was asked for it; not for a Unix socket.
   * The socket itself does not know it any more once the target has reset it.
   */
  readonly onConnected?: (address: string) => void;
  /** Called once, when nothing of the dial is left but the socket: an attempt that is given up is closed a moment later. */
  readonly onOver?: () => void;
}

/**
 * Connects to `target`. The name is resolved here, its addresses are tried as RFC 8305 says, and the socket comes paused
 * with half-open allowed, TCP_NODELAY and keepalive; the caller owns it.
 *
 * @throws CulvertError (as a rejection) `bad_address`, what `faultOf` said if no address may be dialed, `target_refused`, `target_unreachable`, `target_unresolvable`,
 * `target_timeout`, `resource_exhausted`, `dial_failed`, and after `signal` its reason or `cancelled`.
 */
export async function dial(target: Endpoint, options: DialOptions): Promise<Socket> {
  const stop = new AbortController();
  const onAbort = () => {
    const reason: unknown = options.signal?.reason;
    stop.abort(
      reason instanceof CulvertError ? reason : new CulvertError("cancelled", undefined, { cause: reason }),
    );
  };
  if (options.signal?.aborted) onAbort();
  options.signal?.addEventListener("abort", onAbort);
  const timer = setTimeout(() => {
    stop.abort(
      new CulvertError("target_timeout", `${formatEndpoint(target)} within ${options.timeoutMs} ms`),
    );
  }, options.timeoutMs);
  let isRacing = false;
  try {
    checkTarget(target);
    const candidates = await candidatesOf(target, stop.signal, options);
    isRacing = true;
    return await raceConnections(candidates, stop.signal, options.onOver, (winner) => {
      if ("host" in winner) options.onConnected?.(winner.host);
    });
  } catch (error) {
    throw error instanceof CulvertError ? error : dialError(target, error);
  } finally {
    if (!isRacing) options.onOver?.();
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", onAbort);
  }
}

async function candidatesOf(
  target: Endpoint,
  signal: AbortSignal,
  { lookup, lookupShare: share, faultOf }: DialOptions,
): Promise<readonly Candidate[]> {
  if (target.scheme === "unix") return [{ path: target.path }];
  const { port } = target;
  try {
    const found = await lookupAddresses(target.host, signal, { lookup, share });
    const addresses = faultOf === undefined ? found : allowedOf(found, faultOf);
    return interleaveFamilies(addresses).map(({ address }) => ({ host: address, port }));
  } catch (error) {
    if (error instanceof CulvertError) throw error;
    const code = codeOf(error);
    const exhausted = CODES[code] === "resource_exhausted";
    throw new CulvertError(
      exhausted ? "resource_exhausted" : "target_unresolvable",
      `${target.host} (${code})`,
      { cause: error },
    );
  }
}

/** @throws CulvertError what `faultOf` said of the first one, when none is left. */
function allowedOf(found: Addresses, faultOf: NonNullable<DialOptions["faultOf"]>): Addresses {
  // A resolver of somebody's own may answer with another name, which the system would then look up, unjudged.
  const addresses = found.filter(({ address }) => isIP(address) !== 0);
  const faults: CulvertError[] = [];
  const allowed = addresses.filter(({ address }) => {
    const fault = faultOf(address);
    if (fault !== undefined) faults.push(fault);
    return fault === undefined;
  });
  if (allowed.length > 0) return allowed;
  throw faults[0] ?? Object.assign(new Error("no IP address among the answers"), { code: "ENOTFOUND" });
}

/** Of several failures the one that says most: somebody answered, or we could not even try, before silence. */
function dialError(target: Endpoint, cause: unknown): CulvertError {
  const errors: readonly unknown[] = cause instanceof AggregateError ? cause.errors : [cause];
  const codes = errors.map((error) => CODES[codeOf(error)] ?? "dial_failed");
  const code = SAYS_MOST.find((candidate) => codes.includes(candidate)) ?? "dial_failed";
  const first = errors[codes.indexOf(code)];
  return new CulvertError(code, `${formatEndpoint(target)} (${codeOf(first)})`, {
    cause: errors.length === 1 ? first : cause,
  });
}

const SAYS_MOST: readonly ErrorCode[] = [
  "target_refused",
  "resource_exhausted",
  "dial_failed",
  "target_unreachable",
  "target_timeout",
];

const CODES: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: "target_refused",
  ECONNRESET: "target_refused",
  /** A Unix listener whose backlog is full. */
  EAGAIN: "target_refused",
  EHOSTUNREACH: "target_unreachable",
  EHOSTDOWN: "target_unreachable",
  ENETUNREACH: "target_unreachable",
  ENETDOWN: "target_unreachable",
  EADDRNOTAVAIL: "target_unreachable",
  EAFNOSUPPORT: "target_unreachable",
  /** There is no Unix socket at that path. */
  ENOENT: "target_unreachable",
  ENOTDIR: "target_unreachable",
  ENOTSOCK: "target_unreachable",
  ETIMEDOUT: "target_timeout",
  EMFILE: "resource_exhausted",
  ENFILE: "resource_exhausted",
  ENOBUFS: "resource_exhausted",
  ENOMEM: "resource_exhausted",
};
