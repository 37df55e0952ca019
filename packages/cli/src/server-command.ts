import type { Logger } from "@culvert/peer";
import { SESSION_DEFAULTS } from "@culvert/protocol";
import { SERVER_DEFAULTS, Server, type ServerOptions } from "@culvert/server";
import type { Command } from "commander";
import { type CommandContext, withinBound } from "./command-context.ts";
import {
  type CommonFlagValues,
  drainFlag,
  maxSocketsFlag,
  OUTPUT_GROUP,
  outputFlags,
  tokenFileFlag,
} from "./common-flags.ts";
import { descriptorLimit, mostSockets } from "./descriptor-limit.ts";
import type { Environment } from "./environment.ts";
import { countFlag, durationFlag, portFlag, repeatedFlag, sizeFlag, switchFlag, textFlag } from "./flags.ts";
import { LiveFiles } from "./live-files.ts";
import { inFlags } from "./option-fault.ts";
import { type RuleFlagValues, ruleFlags } from "./rule-flags.ts";
import type { ServerFileFlags, ServerFiles } from "./server-files.ts";
import { isLoopback } from "./server-urls.ts";
import {
  graceFlag,
  LIMIT_GROUP,
  LINK_GROUP,
  limitFlags,
  linkFlags,
  SESSION_FLAG_NAMES,
  type SessionFlagValues,
  sessionOptionsOf,
  withinMemory,
} from "./session-flags.ts";
import { findToken, STDIN } from "./token-source.ts";
import { shown, UsageError } from "./usage-error.ts";

/** What the flags of `culvert server` yield. */
export interface ServerFlagValues
  extends CommonFlagValues,
    SessionFlagValues,
    ServerFileFlags,
    RuleFlagValues {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** False: `--no-auth`. */
  readonly auth: boolean;
  readonly publicName?: readonly string[];
  readonly tlsHandshakeTimeout: number;
  readonly origin?: readonly string[];
  readonly dialTimeout: number;
  readonly handshakeTimeout: number;
  readonly maxSessions: number;
  readonly maxDetached: number;
  readonly memoryBudget: number;
  readonly maxUnauthenticated: number;
  readonly maxFromAddress: number;
  readonly maxUpgrades: number;
  readonly maxDials: number;
  readonly headTimeout: number;
}

const D = SERVER_DEFAULTS;

/** Gives `command` its flags and its help. */
export function defineServerCommand(command: Command): Command {
  const add = (group: string, options: ReturnType<typeof portFlag>[]): void => {
    for (const option of options) command.addOption(option.helpGroup(group));
  };
  command
    .summary("accept clients, listen and dial for them")
    .description("Accepts clients over WebSocket, and listens and dials for them on this machine.");
  add("Where it listens:", [
    textFlag(
      "--host <address>",
      "address to listen on; other than loopback clients must log in",
      D.host,
      checkHost,
    ),
    portFlag("--port", "port to listen on; 0 takes a free one", D.port),
    textFlag("--path <path>", "path of the tunnel endpoint", D.path, checkPath),
    textFlag("--tls-cert <file>", "serve wss with this certificate, PEM; intermediate ones behind it", {
      none: "none, and ws",
    }),
    textFlag("--tls-key <file>", "its key, which only its owner may read", { none: "none" }),
    repeatedFlag(
      "--public-name <name>",
      "host[:port] by which clients dial it through a proxy",
      "none",
      (text) => text,
    ),
  ]);
  add("Who may come in:", [
    textFlag("--users <file>", "users, how each logs in, and what each may do (YAML or JSON)", {
      none: "none",
    }),
    tokenFileFlag("file with a token that clients share, only for its owner; - asks for it"),
    textFlag("--tls-client-ca <file>", "demand client certificates that these authorities issued", {
      none: "none",
    }),
    switchFlag("--no-auth", "let in everybody who can reach the server"),
    repeatedFlag("--origin <origin>", "let in web pages of this origin", "none", checkOrigin),
    countFlag("--max-sessions", "sessions, attached and detached", D.maxSessions),
    countFlag("--max-detached", "of these, detached ones", D.maxDetachedSessions, { min: 0 }),
    sizeFlag("--memory-budget", "memory for the buffers of all sessions", D.memoryBudgetBytes, {
      min: 1024 * 1024,
    }),
    countFlag("--max-unauthenticated", "connections that have not logged in", D.maxUnauthenticated),
    countFlag(
      "--max-from-address",
      "of these, when there are that many, from one address that is not loopback",
      D.maxUnauthenticatedPerAddress,
    ),
    countFlag("--max-upgrades", "clients in a second; others come back later", D.maxUpgradesPerSecond),
    countFlag("--max-dials", "dials under way, of all clients together", D.maxDials),
    maxSocketsFlag("sockets of visitors, targets and listeners of all clients together"),
    durationFlag("--head-timeout", "time for the head of an HTTP request", D.headTimeoutMs),
    durationFlag("--handshake-timeout", "time for a handshake", D.handshakeTimeoutMs),
    durationFlag("--tls-handshake-timeout", "time for a TLS handshake", D.tlsHandshakeTimeoutMs),
  ]);
  add(
    "What clients may do that are not among the users:",
    ruleFlags(
      "connect there, as in db:5432 or 10.0.0.0/8:80,443",
      "listen there, as in 8000-8999 or 0.0.0.0:443",
      "local users everything",
    ),
  );
  add(LINK_GROUP, [
    graceFlag("a session without a WebSocket is kept for this long", SESSION_DEFAULTS.graceMs),
    ...linkFlags(),
    durationFlag("--dial-timeout", "time for a target to accept a connection", D.dialTimeoutMs),
    drainFlag(),
  ]);
  add(LIMIT_GROUP, [
    countFlag("--max-tunnels", "listeners that a client may ask for", SESSION_DEFAULTS.maxTunnels, {
      min: 0,
      max: 65_536,
    }),
    ...limitFlags(),
  ]);
  add(OUTPUT_GROUP, [
    ...outputFlags(),
    textFlag("--audit-log <file>", "record there who came in, was refused and did what", { none: "none" }),
  ]);
  return command;
}

/**
 * The options of the library for these flags; reads the token, unless it is to be asked for.
 * @throws UsageError
 */
export function serverOptionsOf(
  flags: ServerFlagValues,
  env: Environment,
  files: ServerFiles,
): ServerOptions {
  const token = flags.tokenFile === STDIN ? undefined : findToken(flags.tokenFile, env)?.token;
  const { users, tls } = files;
  checkWaysIn(flags, token !== undefined || flags.tokenFile === STDIN);
  return {
    host: flags.host,
    port: flags.port,
    path: flags.path,
    token,
    ...(users === undefined ? {} : { users }),
    ...(tls === undefined ? {} : { tls }),
    noAuth: !flags.auth,
    publicNames: flags.publicName ?? [],
    ...(flags.allowConnect === undefined ? {} : { allowConnect: flags.allowConnect }),
    ...(flags.allowListen === undefined ? {} : { allowListen: flags.allowListen }),
    origins: flags.origin ?? [],
    session: sessionOptionsOf(flags),
    dialTimeoutMs: flags.dialTimeout,
    handshakeTimeoutMs: flags.handshakeTimeout,
    tlsHandshakeTimeoutMs: flags.tlsHandshakeTimeout,
    maxSessions: flags.maxSessions,
    maxDetachedSessions: flags.maxDetached,
    memoryBudgetBytes: withinMemory("--memory-budget", flags.memoryBudget),
    maxUnauthenticated: flags.maxUnauthenticated,
    maxUnauthenticatedPerAddress: flags.maxFromAddress,
    maxUpgradesPerSecond: flags.maxUpgrades,
    maxDials: flags.maxDials,
    ...(flags.maxSockets === undefined ? {} : { maxSockets: flags.maxSockets }),
    headTimeoutMs: flags.headTimeout,
    drainMs: flags.drain,
  };
}

/** What is written out as "nobody needs to log in" must not stand beside a way to log in. */
function checkWaysIn({ auth, users }: ServerFlagValues, hasToken: boolean): void {
  if (auth || (users === undefined && !hasToken)) return;
  const other =
    users === undefined ? "a token (--token-file, CULVERT_TOKEN or CULVERT_TOKEN_FILE)" : "--users";
  throw new UsageError(
    `--no-auth lets everybody in, so ${other} would count for nothing: leave out one of them.`,
  );
}

/** Runs a server until a signal stops it. @throws UsageError, CulvertError when it cannot start. */
export async function runServer(
  options: ServerOptions,
  files: ServerFiles,
  context: CommandContext,
): Promise<void> {
  const { log, ready, signals } = context;
  const maxSockets = options.maxSockets ?? mostSockets(descriptorLimit());
  const server = makeServer({ ...options, maxSockets, logger: log, agent: context.agent });
  signals.onReport = () => report(server, log);
  await server.start();
  warnOfPlainPort(options, log);
  const { auth, allowed } = server.stats();
  ready.tell({ ready: "server", url: server.address?.url ?? "", auth, allowed });
  const live = new LiveFiles(
    files.parts(server, (act) => inFlags(act, FLAG_NAMES)),
    log,
  );
  signals.onHangup = () => live.readAgain();
  const signal = await signals.stopped;
  const drainMs = options.drainMs ?? D.drainMs;
  log.info({ signal, drainMs }, "stopping: open connections may finish, a second signal ends it at once");
  live.close();
  await withinBound(server.close(), drainMs, log);
}

/** Behind a proxy on another machine this is how it must be; otherwise somebody forgot something. */
function warnOfPlainPort({ host = D.host, tls }: ServerOptions, log: Logger): void {
  if (tls !== undefined || isLoopback(host)) return;
  log.warn(
    {},
    "nothing is encrypted on this port: give --tls-cert and --tls-key, unless a proxy that speaks TLS is in front",
  );
}

function report(server: Server, log: Logger): void {
  log.info({ ...server.stats() }, "state of the server");
  for (const { id, name, state, remoteAddress, link } of server.sessions()) {
    log.info({ session: id, client: name, remoteAddress, ...link, state }, "state of a session");
  }
}

function makeServer(options: ServerOptions): Server {
  return inFlags(() => new Server(options), FLAG_NAMES);
}

const FLAG_NAMES: Readonly<Record<string, string>> = {
  ...SESSION_FLAG_NAMES,
  host: "--host",
  port: "--port",
  path: "--path",
  token: "the token",
  users: "--users",
  noAuth: "--no-auth",
  publicNames: "--public-name",
  allowConnect: "--allow-connect",
  allowListen: "--allow-listen",
  "tls.cert": "--tls-cert",
  "tls.key": "--tls-key",
  "tls.clientCa": "--tls-client-ca",
  tls: "--tls-cert",
  tlsHandshakeTimeoutMs: "--tls-handshake-timeout",
  origins: "--origin",
  dialTimeoutMs: "--dial-timeout",
  handshakeTimeoutMs: "--handshake-timeout",
  maxSessions: "--max-sessions",
  maxDetachedSessions: "--max-detached",
  memoryBudgetBytes: "--memory-budget",
  maxUnauthenticated: "--max-unauthenticated",
  maxUnauthenticatedPerAddress: "--max-from-address",
  maxUpgradesPerSecond: "--max-upgrades",
  maxDials: "--max-dials",
  maxSockets: "--max-sockets",
  headTimeoutMs: "--head-timeout",
  drainMs: "--drain",
};

function checkHost(text: string): string {
  const host = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  if (host === "*") return "0.0.0.0";
  if (/^[^\s/@[\]]{1,255}$/.test(host)) return host;
  throw new UsageError(
    `--host ${shown(text)} is not an address: write one such as 127.0.0.1, ::1 or 0.0.0.0.`,
  );
}

function checkPath(text: string): string {
  if (/^\/[\x21-\x22\x24-\x3e\x40-\x7e]{0,1023}$/.test(text)) return text;
  throw new UsageError(`--path ${shown(text)} is not a path: begin it with / and leave out ?, # and spaces.`);
}

function checkOrigin(text: string): string {
  if (/^[a-z][a-z0-9+.-]*:\/\/[^/\s]+$/.test(text)) return text;
  throw new UsageError(
    `--origin ${shown(text)} is not an origin: write one such as https://example.org, without a path.`,
  );
}
