import type { Logger } from "@culvert/peer";
import { CulvertError, SESSION_DEFAULTS } from "@culvert/protocol";
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
import { countFlag, durationFlag, portFlag, repeatedFlag, sizeFlag, textFlag } from "./flags.ts";
import { optionFault } from "./option-fault.ts";
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
import { findToken } from "./token-source.ts";
import { shown, UsageError } from "./usage-error.ts";

/** What the flags of `culvert server` yield. */
export interface ServerFlagValues extends CommonFlagValues, SessionFlagValues {
  readonly host: string;
  readonly port: number;
  readonly path: string;
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
      "address to listen on; other than loopback it needs a token",
      D.host,
      checkHost,
    ),
    portFlag("--port", "port to listen on; 0 takes a free one", D.port),
    textFlag("--path <path>", "path of the tunnel endpoint", D.path, checkPath),
  ]);
  add("Who may come in:", [
    tokenFileFlag("file with the token of all clients, which only its owner may read"),
    repeatedFlag("--origin <origin>", "let in web pages of this origin", "none", checkOrigin),
    countFlag("--max-sessions", "sessions, attached and detached", D.maxSessions),
    countFlag("--max-detached", "of these, detached ones", D.maxDetachedSessions, { min: 0 }),
    sizeFlag("--memory-budget", "memory for the buffers of all sessions", D.memoryBudgetBytes, {
      min: 1024 * 1024,
    }),
    countFlag("--max-unauthenticated", "connections that have not shown the token", D.maxUnauthenticated),
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
  ]);
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
  add(OUTPUT_GROUP, outputFlags());
  return command;
}

/**
 * The options of the library for these flags; reads the token.
 * @throws UsageError
 */
export function serverOptionsOf(flags: ServerFlagValues, env: Environment): ServerOptions {
  const token = findToken(flags.tokenFile, env)?.token;
  return {
    host: flags.host,
    port: flags.port,
    path: flags.path,
    token,
    origins: flags.origin ?? [],
    session: sessionOptionsOf(flags),
    dialTimeoutMs: flags.dialTimeout,
    handshakeTimeoutMs: flags.handshakeTimeout,
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

/** Runs a server until a signal stops it. @throws UsageError, CulvertError when it cannot start. */
export async function runServer(options: ServerOptions, context: CommandContext): Promise<void> {
  const { log, ready, signals } = context;
  const maxSockets = options.maxSockets ?? mostSockets(descriptorLimit());
  const server = makeServer({ ...options, maxSockets, logger: log, agent: context.agent });
  signals.onHangup = () => log.info({}, "SIGHUP: nothing to read again, going on");
  signals.onReport = () => report(server, log);
  await server.start();
  ready.tell({ ready: "server", url: server.address?.url ?? "" });
  const signal = await signals.stopped;
  const drainMs = options.drainMs ?? D.drainMs;
  log.info({ signal, drainMs }, "stopping: open connections may finish, a second signal ends it at once");
  await withinBound(server.close(), drainMs, log);
}

function report(server: Server, log: Logger): void {
  log.info({ ...server.stats() }, "state of the server");
  for (const { id, name, state, remoteAddress, link } of server.sessions()) {
    log.info({ session: id, client: name, remoteAddress, ...link, state }, "state of a session");
  }
}

function makeServer(options: ServerOptions): Server {
  try {
    return new Server(options);
  } catch (error) {
    if (error instanceof CulvertError && error.code === "invalid_option")
      throw optionFault(error, FLAG_NAMES);
    throw error;
  }
}

const FLAG_NAMES: Readonly<Record<string, string>> = {
  ...SESSION_FLAG_NAMES,
  host: "--host",
  port: "--port",
  path: "--path",
  token: "the token",
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
