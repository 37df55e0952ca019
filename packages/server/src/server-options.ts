import type { LookupFunction } from "node:net";
import { type Logger, silentLogger } from "@culvert/peer";
import { commonGrants, type Users } from "@culvert/policy";
import { CulvertError, resolveSessionOptions, type SessionOptions } from "@culvert/protocol";
import { isLoopbackHost } from "./arrival-path.ts";
import type { AuditRecord } from "./audit-record.ts";
import type { AuthenticateHook } from "./authenticate-hook.ts";
import { resolveServerTls, type ServerTls, type ServerTlsOptions } from "./server-tls.ts";

/** How a server is set up. Everything has a default; times are milliseconds. */
export interface ServerOptions {
  /** Address or name to listen on. Default `127.0.0.1`; anything that is not loopback needs authentication. */
  readonly host?: string;
  /** TCP port to listen on; 0 takes a free one. Default 9000. */
  readonly port?: number;
  /** The path of the tunnel endpoint, exactly. Default `/`. */
  readonly path?: string;
  /** A secret that clients share; 16 to 1024 visible ASCII characters. Whoever shows it is the identity `token`. Default none. */
  readonly token?: string | undefined;
  /** Who may come in, each by tokens, keys and certificates of their own, and what each may do. Default none. */
  readonly users?: Users | undefined;
  /**
   * Says who sent a request that neither `token` nor `users` know; asked for each upgrade request, within
   * `handshakeTimeoutMs`. It lets in nobody by throwing, by rejecting, or by not answering. Default none.
   */
  readonly authenticate?: AuthenticateHook | undefined;
  /**
   * Lets everybody in who can reach the server, as the identity `anyone`; excludes `token`, `users` and `authenticate`.
   * Default false: without any of those only the same machine is served.
   */
  readonly noAuth?: boolean;
  /**
   * Under which names clients dial the server, as `host` or `host:port`; with a path behind it where a proxy changes that.
   * A client that logs in by key signs the name, and only these are taken; besides those that the server's certificate is for, and
   * the address that the connection came to, unless through a proxy. Default none.
   */
  readonly publicNames?: readonly string[];
  /**
   * What everybody may connect to from here who has no grants of its own: rules such as `db.internal:5432`, `10.0.0.0/8:80,443`.
   * Default: everything for whoever comes from this machine, if only this machine can reach the server; nothing for others.
   */
  readonly allowConnect?: readonly string[] | undefined;
  /** The same for where they may have the server listen: rules such as `8000-8999`, `0.0.0.0:443`. Default as `allowConnect`. */
  readonly allowListen?: readonly string[] | undefined;
  /**
   * Is told who came in, was refused, listened and connected where, and how much was carried. Called in the middle of things: it
   * must return at once. Default none.
   */
  readonly audit?: ((record: AuditRecord) => void) | undefined;
  /** Serves `wss:` instead of `ws:` on the port of its own. Default none. See `setTls` for new certificates. */
  readonly tls?: ServerTlsOptions | undefined;
  /** How long a client may take for the TLS handshake, on a port of our own. Default 10 s. */
  readonly tlsHandshakeTimeoutMs?: number;
  /** `Origin` values that are let in. Default none: tunnel clients send no `Origin`, web pages always do. */
  readonly origins?: readonly string[];
  /** Grace, keepalive, windows, replay and limits of each session. */
  readonly session?: Partial<SessionOptions>;
  /** How long a target may take to accept a connection. Default 10 s. */
  readonly dialTimeoutMs?: number;
  /** How long a client may take from the 101 to the end of the handshake. Default 5 s. */
  readonly handshakeTimeoutMs?: number;
  /** Most sessions, attached and detached. A new one displaces the longest detached one. Default 1000. */
  readonly maxSessions?: number;
  /** Of those, most detached ones; beyond it the longest detached one goes. Default 500. */
  readonly maxDetachedSessions?: number;
  /**
   * Memory for all sessions together, bytes: frames that are not acknowledged, and what windows promise. From 80 % on no
   * new sessions are taken, from 90 % on no new streams and windows shrink, from 95 % on detached sessions go, the longest
   * detached one first; nothing grows past it. Default 512 MiB.
   */
  readonly memoryBudgetBytes?: number;
  /**
   * Most connections that have not shown who they are, or a right upgrade request where nobody has to; for one more, one of them
   * is dropped, by lot. Default 300.
   */
  readonly maxUnauthenticated?: number;
  /**
   * When there are so many, an address with more than this (an IPv6 one counts by its /64; loopback aside) drops one of its own
   * for one more. Default 20.
   */
  readonly maxUnauthenticatedPerAddress?: number;
  /**
   * Upgrades that are taken in a second, after a burst of as many; others get 503 and when to come back. One address, loopback
   * aside, may take as many as it leaves. Default 200.
   */
  readonly maxUpgradesPerSecond?: number;
  /**
   * Most dials under way, of all sessions together; one session has at most a quarter of what the others leave. Further
   * streams are refused. Default 4096.
   */
  readonly maxDials?: number;
  /**
   * Most sockets that are carried or listen for visitors, of all sessions together; one session has at most half of what the
   * others leave. Further visitors are reset, further streams and listeners refused. Keep it below the descriptors that the
   * process may have, so that clients can always come in. Default 1,000,000.
   */
  readonly maxSockets?: number;
  /** How long an HTTP client may take for the head of its request, on a port of our own. Default 10 s. */
  readonly headTimeoutMs?: number;
  /** How long `close` lets open streams go on. Default 10 s. */
  readonly drainMs?: number;
  /** Resolves the names of targets. Default `dns.lookup`. */
  readonly lookup?: LookupFunction | undefined;
  /** Where to log, in pino's call shape. Default: nowhere. */
  readonly logger?: Logger;
  /** Program and version, told to clients for their logs. Default `culvert`. */
  readonly agent?: string;
}

/** The options with every default filled in; what has no default is present and may be undefined. */
export type ResolvedServerOptions = Readonly<
  Required<
    Omit<
      ServerOptions,
      | "session"
      | "token"
      | "tls"
      | "users"
      | "authenticate"
      | "allowConnect"
      | "allowListen"
      | "audit"
      | "lookup"
    >
  > & {
    session: SessionOptions;
    token: string | undefined;
    users: Users | undefined;
    authenticate: AuthenticateHook | undefined;
    allowConnect: readonly string[] | undefined;
    allowListen: readonly string[] | undefined;
    audit: ((record: AuditRecord) => void) | undefined;
    tls: ServerTls | undefined;
    lookup: LookupFunction | undefined;
  }
>;

export const SERVER_DEFAULTS: Omit<ResolvedServerOptions, "session"> = Object.freeze({
  host: "127.0.0.1",
  port: 9000,
  path: "/",
  token: undefined,
  users: undefined,
  authenticate: undefined,
  noAuth: false,
  publicNames: Object.freeze([]),
  allowConnect: undefined,
  allowListen: undefined,
  audit: undefined,
  tls: undefined,
  tlsHandshakeTimeoutMs: 10_000,
  origins: Object.freeze([]),
  dialTimeoutMs: 10_000,
  handshakeTimeoutMs: 5000,
  maxSessions: 1000,
  maxDetachedSessions: 500,
  memoryBudgetBytes: 512 * 1024 * 1024,
  maxUnauthenticated: 300,
  maxUnauthenticatedPerAddress: 20,
  maxUpgradesPerSecond: 200,
  maxDials: 4096,
  maxSockets: 1_000_000,
  headTimeoutMs: 10_000,
  drainMs: 10_000,
  lookup: undefined,
  logger: silentLogger,
  agent: "culvert",
});

const MAX_TIMER_MS = 2 ** 31 - 1;
const INTEGERS: Readonly<Record<string, readonly [min: number, max: number]>> = {
  port: [0, 65_535],
  dialTimeoutMs: [1, MAX_TIMER_MS],
  handshakeTimeoutMs: [1, MAX_TIMER_MS],
  maxSessions: [1, 1_000_000],
  maxDetachedSessions: [0, 1_000_000],
  memoryBudgetBytes: [1024 * 1024, 2 ** 50],
  maxUnauthenticated: [1, 1_000_000],
  maxUnauthenticatedPerAddress: [1, 1_000_000],
  maxUpgradesPerSecond: [1, 1_000_000],
  maxDials: [1, 1_000_000],
  maxSockets: [1, 1_000_000],
  tlsHandshakeTimeoutMs: [1, MAX_TIMER_MS],
  headTimeoutMs: [1, MAX_TIMER_MS],
  drainMs: [0, MAX_TIMER_MS],
};

const TOKEN_LENGTH: readonly [min: number, max: number] = [16, 1024];

/**
 * Fills in the defaults, checks everything and freezes.
 * @throws CulvertError `invalid_option`, naming the option and its bound; never the token itself, nor anything of a key.
 */
export function resolveServerOptions(given: ServerOptions = {}): ResolvedServerOptions {
  const known = [...Object.keys(SERVER_DEFAULTS), "session"];
  for (const key of Object.keys(given)) {
    if (!known.includes(key)) throw invalid(`there is no option ${key}; there are: ${known.join(", ")}`);
  }
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const options: ResolvedServerOptions = {
    ...SERVER_DEFAULTS,
    ...present,
    session: resolveSessionOptions(given.session, "session."),
    publicNames: Object.freeze([...(given.publicNames ?? [])]),
    tls: given.tls === undefined ? undefined : resolveServerTls(given.tls),
    origins: Object.freeze([...(given.origins ?? [])]),
  };
  for (const [key, [min, max]] of Object.entries(INTEGERS)) {
    checkInteger(key, options[key as keyof ResolvedServerOptions], min, max);
  }
  checkText("host", options.host, /^[^\s/@]{1,255}$/, "a host name or an IP address");
  checkPath("path", options.path);
  checkText("agent", options.agent, /^[\x20-\x7e]{0,255}$/, "at most 255 printable ASCII characters");
  for (const name of options.publicNames) {
    checkText("publicNames", name, PUBLIC_NAME, PUBLIC_NAMES);
    // A port or an address that cannot be: no client ever dials it.
    if (!URL.canParse(`ws://${name}`)) throw invalid(`publicNames must be ${PUBLIC_NAMES}, not ${name}`);
  }
  for (const origin of options.origins)
    checkText("origins", origin, /^[a-z][a-z0-9+.-]*:\/\/[^/\s]+$/, ORIGIN);
  if (options.lookup !== undefined && typeof options.lookup !== "function")
    throw invalid("lookup must be a function");
  if (typeof options.logger?.child !== "function")
    throw invalid("logger must have pino's methods, child among them");
  checkToken(options.token);
  checkAuthentication(options);
  commonGrants(options);
  if (options.audit !== undefined && typeof options.audit !== "function")
    throw invalid("audit must be a function");
  return Object.freeze(options);
}

/** @throws CulvertError `invalid_option` unless it can be the path of a request target. */
export function checkPath(name: string, path: unknown): asserts path is string {
  checkText(
    name,
    path,
    /^\/[\x21-\x22\x24-\x3e\x40-\x7e]{0,1023}$/,
    "a path that starts with / and has no ?, # or space",
  );
}

const PUBLIC_NAME =
  /^(?:[a-z0-9](?:[a-z0-9._-]{0,252})|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?(?:\/[\x21-\x22\x24-\x3e\x40-\x7e]{0,1023})?$/i;
const PUBLIC_NAMES = "a list of names such as tunnel.example.org, without a scheme";
const ORIGIN = "a list of origins such as https://example.org";

function checkInteger(name: string, value: unknown, min: number, max: number): void {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return;
  throw invalid(`${name} must be an integer from ${min} to ${max}, not ${String(value)}`);
}

function checkText(name: string, value: unknown, pattern: RegExp, wanted: string): void {
  if (typeof value === "string" && pattern.test(value)) return;
  throw invalid(`${name} must be ${wanted}`);
}

/** A secret that is empty or too short to resist guessing must stop the start, not pass for "none". */
function checkToken(token: unknown): void {
  if (token === undefined) return;
  const [min, max] = TOKEN_LENGTH;
  const fits =
    typeof token === "string" && token.length >= min && token.length <= max && /^[\x21-\x7e]+$/.test(token);
  if (!fits) throw invalid(`token must be ${min} to ${max} visible ASCII characters without spaces`);
}

function checkAuthentication(options: ResolvedServerOptions): void {
  const { users, authenticate, noAuth, host } = options;
  if (users !== undefined && !(users?.byName instanceof Map)) {
    throw invalid("users must be what parseUsers returns");
  }
  if (authenticate !== undefined && typeof authenticate !== "function")
    throw invalid("authenticate must be a function");
  if (typeof noAuth !== "boolean") throw invalid("noAuth must be true or false");
  const ways = waysIn(options);
  if (noAuth && ways.length > 0) throw invalid(`noAuth and ${ways[0]} exclude each other`);
  if (noAuth || ways.length > 0 || isLoopbackHost(host)) return;
  throw invalid(
    `host ${host} can be reached from other machines, so clients must be authenticated: set a token (--token-file, ` +
      "CULVERT_TOKEN, or the token option), users (--users, or the users option) or the authenticate option, listen on " +
      "127.0.0.1, or let everybody in (the noAuth option)",
  );
}

/** Which options authenticate clients; none: nobody has to show anything. */
export function waysIn(options: Pick<ResolvedServerOptions, "token" | "users" | "authenticate">): string[] {
  return (["token", "users", "authenticate"] as const).filter((key) => options[key] !== undefined);
}

function invalid(sentence: string): CulvertError {
  return new CulvertError("invalid_option", sentence);
}
