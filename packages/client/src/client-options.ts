import type { LookupFunction } from "node:net";
import { type Logger, type LoginKey, silentLogger } from "@culvert/peer";
import { formatEndpoint, resolveSessionOptions, type SessionOptions } from "@culvert/protocol";
import { type ClientTls, type ClientTlsOptions, resolveClientTls } from "./client-tls.ts";
import { resolveKey, resolveToken } from "./credentials.ts";
import { defaultName } from "./default-name.ts";
import type { Connector } from "./dial.ts";
import type { HeadersProvider, ServerProvider, TokenProvider } from "./dial-provider.ts";
import { checkHeaders, hasHeader } from "./headers.ts";
import type { Mode } from "./mode.ts";
import { invalidOption, OptionReader } from "./option-reader.ts";
import {
  MAX_TIMER_MS,
  type ResolvedRetryOptions,
  type RetryOptions,
  resolveRetryOptions,
} from "./retry-options.ts";
import { parseServerUrl } from "./server-url.ts";
import {
  connectText,
  resolveTunnelOptions,
  type StreamCallback,
  type TunnelOptions,
  type TunnelSpec,
} from "./tunnel-options.ts";

/** Which redirects are followed. */
export type Redirects = "same-host" | "any";

/** How a client is set up. Only `server` is needed; times are milliseconds. */
export interface ClientOptions {
  /**
   * Where the server is: `ws://host:9000`, `wss://…`, or the `http://` and `https://` forms. A list is tried in order and
   * round again; a function is asked before each dial.
   */
  readonly server: string | readonly string[] | ServerProvider;
  /**
   * The secret that the server asks for; sent as `Authorization: Bearer`. A function is asked before each dial, so that one
   * that was exchanged meanwhile counts. Never logged.
   */
  readonly token?: string | TokenProvider | undefined;
  /**
   * A private key instead of a token: PKCS #8 PEM of an Ed25519 key, as `culvert key new` makes it. What the server gets is
   * a signature over a challenge of its own and the name that was dialed; the key itself stays here. Each connection takes
   * two requests: the first gets the challenge.
   */
  readonly key?: string | Buffer | undefined;
  /**
   * The name under which the server keeps this client's tunnels; a client of the same name displaces this one. Default:
   * derived from user, host and tunnels, see `defaultName`.
   */
  readonly name?: string;
  /** Further headers of the upgrade request; a redirect to another origin does not get them. */
  readonly headers?: Readonly<Record<string, string>> | HeadersProvider;
  /**
   * Where a server that refuses may send the client instead, up to three times in a row and never from `wss:` to `ws:`.
   * `same-host`: to a host that `server` names, on whatever port and path; `any`: to any host, for those who trust every
   * server with that. The token goes along either way; `headers` go to origins of `server` only. Default `same-host`.
   */
  readonly redirects?: Redirects;
  /**
   * How the servers of `wss:` URLs are trusted, and the client's own certificate. Default: certificates of CAs that Node knows,
   * for the host of the URL.
   */
  readonly tls?: ClientTlsOptions | undefined;
  /** Opens the connection under each WebSocket. Default: TCP to the host of the URL. */
  readonly connector?: Connector;
  /** The tunnels to open at the start. Others can be opened later, and a client may have none and only `dial`. */
  readonly tunnels?: readonly TunnelOptions[];
  /** The short form for a single tunnel, instead of `tunnels`: with `listen` and `connect`. */
  readonly mode?: Mode;
  readonly listen?: string;
  readonly connect?: string | StreamCallback;
  readonly retry?: RetryOptions;
  /** Keepalive, windows, replay and limits of the session. `graceMs` can only shorten what the server grants. */
  readonly session?: Partial<SessionOptions>;
  /** How long the target of a LISTEN tunnel may take to accept a connection. Default 10,000. */
  readonly dialTimeoutMs?: number;
  /**
   * Most sockets that are carried or listen for visitors. Further visitors are reset, further streams of the server refused.
   * Keep it below the descriptors that the process may have, so that the WebSocket always gets one. Default 1,000,000.
   */
  readonly maxSockets?: number;
  /** How long `close` lets open streams go on. Default 10,000. */
  readonly drainMs?: number;
  /** Resolves the names of targets. Default `dns.lookup`. */
  readonly lookup?: LookupFunction | undefined;
  /** Where to log, in pino's call shape. Default: nowhere. */
  readonly logger?: Logger;
  /** Closes the client without a drain, at any time. */
  readonly signal?: AbortSignal | undefined;
  /** Program and version, told to the server for its logs. Default `culvert`. */
  readonly agent?: string;
  /** Uniform in [0, 1), for the jitter of waits. Default `Math.random`. */
  readonly random?: () => number;
}

/** Every option with its default filled in, checked and frozen. */
export interface ResolvedClientOptions {
  readonly server: readonly URL[] | ServerProvider;
  readonly token: string | TokenProvider | undefined;
  readonly key: LoginKey | undefined;
  readonly name: string;
  readonly headers: Readonly<Record<string, string>> | HeadersProvider;
  readonly redirects: Redirects;
  readonly tls: ClientTls | undefined;
  readonly connector: Connector | undefined;
  readonly tunnels: readonly TunnelSpec[];
  readonly retry: ResolvedRetryOptions;
  readonly session: SessionOptions;
  /** What was given for `session.graceMs`; the server's word counts when nothing was. */
  readonly graceMs: number | undefined;
  readonly dialTimeoutMs: number;
  readonly maxSockets: number;
  readonly drainMs: number;
  readonly lookup: LookupFunction | undefined;
  readonly logger: Logger;
  readonly signal: AbortSignal | undefined;
  readonly agent: string;
  readonly random: () => number;
}

type WithDefault =
  | "headers"
  | "redirects"
  | "dialTimeoutMs"
  | "maxSockets"
  | "drainMs"
  | "logger"
  | "agent"
  | "random";

/** What an option is when it is not given; `retry` and `session` have tables of their own. */
export const CLIENT_DEFAULTS: Pick<ResolvedClientOptions, WithDefault> = Object.freeze({
  headers: Object.freeze({}),
  redirects: "same-host",
  dialTimeoutMs: 10_000,
  maxSockets: 1_000_000,
  drainMs: 10_000,
  logger: silentLogger,
  agent: "culvert",
  random: Math.random,
});

const MOST_SOCKETS = 1_000_000;

/** A client answers what the server opens for its own tunnels; the server has no tunnels to ask of it. */
const SESSION_OF_A_CLIENT: Partial<SessionOptions> = { maxTunnels: 0 };

const KEYS: readonly (keyof ClientOptions)[] = [
  "server",
  "token",
  "key",
  "name",
  "headers",
  "redirects",
  "tls",
  "connector",
  "tunnels",
  "mode",
  "listen",
  "connect",
  "retry",
  "session",
  "dialTimeoutMs",
  "maxSockets",
  "drainMs",
  "lookup",
  "logger",
  "signal",
  "agent",
  "random",
];

/**
 * Fills in the defaults, checks everything and freezes.
 * @throws CulvertError `invalid_option`, or `bad_address` for an endpoint, naming the option and its bound; never the token.
 */
export function resolveClientOptions(given: ClientOptions): ResolvedClientOptions {
  const read = new OptionReader(given, "", KEYS);
  const tunnels = resolveTunnels(read);
  const token = resolveToken(read);
  const key = resolveKey(read);
  const headers = resolveHeaders(read);
  const login = token === undefined ? key && "key" : "token";
  if (login !== undefined && typeof headers !== "function" && hasHeader(headers, "authorization")) {
    throw invalidOption(`${login} and headers must not both set Authorization`);
  }
  const session = read.get("session") as Partial<SessionOptions> | undefined;
  const name = read.optionalText("name", 1, 255) ?? defaultName(tunnels.map(namedTunnel));
  const server = resolveServer(read.get("server"));
  return Object.freeze({
    server,
    token,
    key,
    name,
    headers,
    redirects: resolveRedirects(read),
    tls: resolveTls(read, server),
    connector: functionOf<Connector>(read, "connector"),
    tunnels: Object.freeze(tunnels),
    retry: resolveRetryOptions(read.get("retry")),
    session: resolveSessionOptions({ ...SESSION_OF_A_CLIENT, ...session }, "session."),
    graceMs: session?.graceMs,
    dialTimeoutMs: read.integer("dialTimeoutMs", 1, MAX_TIMER_MS, CLIENT_DEFAULTS.dialTimeoutMs),
    maxSockets: read.integer("maxSockets", 1, MOST_SOCKETS, CLIENT_DEFAULTS.maxSockets),
    drainMs: read.integer("drainMs", 0, MAX_TIMER_MS, CLIENT_DEFAULTS.drainMs),
    lookup: functionOf<LookupFunction>(read, "lookup"),
    logger: resolveLogger(read),
    signal: resolveSignal(read),
    agent: read.optionalText("agent", 0, 255) ?? CLIENT_DEFAULTS.agent,
    random: functionOf<() => number>(read, "random") ?? CLIENT_DEFAULTS.random,
  });
}

function resolveServer(server: unknown): readonly URL[] | ServerProvider {
  if (typeof server === "function") return server as ServerProvider;
  if (!Array.isArray(server)) return Object.freeze([parseServerUrl(server)]);
  if (server.length === 0) throw invalidOption("server must name at least one URL");
  const urls = server.map((url, index) => parseServerUrl(url, `server[${index}]`));
  return Object.freeze([...new Map(urls.map((url) => [url.href, url])).values()]);
}

function resolveTunnels(read: OptionReader): TunnelSpec[] {
  const short = ["mode", "listen", "connect"].filter((key) => read.has(key));
  const tunnels = read.get("tunnels");
  if (tunnels === undefined) {
    if (short.length === 0) return [];
    return [resolveTunnelOptions(Object.fromEntries(short.map((key) => [key, read.get(key)])))];
  }
  if (short.length > 0) throw invalidOption(`${short[0]} must not be given together with tunnels`);
  if (!Array.isArray(tunnels)) throw read.fault("tunnels", "an array", tunnels);
  return tunnels.map((tunnel, index) => resolveTunnelOptions(tunnel, `tunnels[${index}].`));
}

function namedTunnel({ mode, listen, connect }: TunnelSpec): {
  mode: string;
  listen: string;
  connect: string;
} {
  return { mode, listen: formatEndpoint(listen), connect: connectText(connect) };
}

function resolveHeaders(read: OptionReader): Readonly<Record<string, string>> | HeadersProvider {
  const headers = read.get("headers");
  if (headers === undefined) return CLIENT_DEFAULTS.headers;
  return typeof headers === "function" ? (headers as HeadersProvider) : checkHeaders(headers);
}

/** Whoever says how a server is to be trusted takes the connection for encrypted. */
function resolveTls(read: OptionReader, server: ResolvedClientOptions["server"]): ClientTls | undefined {
  const tls = read.get("tls");
  if (tls === undefined) return undefined;
  if (typeof server !== "function" && server.every(({ protocol }) => protocol === "ws:")) {
    throw invalidOption(
      "tls is given, but nothing is encrypted on the way to server: begin its URL with wss://",
    );
  }
  return resolveClientTls(tls);
}

function resolveRedirects(read: OptionReader): Redirects {
  const redirects = read.get("redirects") ?? CLIENT_DEFAULTS.redirects;
  if (redirects === "same-host" || redirects === "any") return redirects;
  throw read.fault("redirects", '"same-host" or "any"', redirects);
}

function functionOf<F>(read: OptionReader, key: string): F | undefined {
  const value = read.get(key);
  if (value !== undefined && typeof value !== "function") throw read.fault(key, "a function", value);
  return value as F | undefined;
}

function resolveLogger(read: OptionReader): Logger {
  const logger = read.get("logger");
  if (logger === undefined) return CLIENT_DEFAULTS.logger;
  const has = (name: string): boolean =>
    typeof (logger as Record<string, unknown> | null)?.[name] === "function";
  if (!["trace", "debug", "info", "warn", "error", "child"].every(has)) {
    throw read.fault("logger", "an object with trace, debug, info, warn, error and child", logger);
  }
  return logger as Logger;
}

function resolveSignal(read: OptionReader): AbortSignal | undefined {
  const signal = read.get("signal");
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw read.fault("signal", "an AbortSignal", signal);
  return signal;
}
