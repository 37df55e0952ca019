import {
  CLIENT_DEFAULTS,
  Client,
  type ClientOptions,
  CONNECT,
  isPlainText,
  LISTEN,
  type Tunnel,
} from "@culvert/client";
import type { Logger } from "@culvert/peer";
import { formatEndpoint } from "@culvert/protocol";
import type { Command, Option } from "commander";
import { type ClientFiles, type ClientTlsFlags, checkEncrypted, clientTlsFlags } from "./client-files.ts";
import { type CommandContext, withinBound } from "./command-context.ts";
import {
  type CommonFlagValues,
  drainFlag,
  maxSocketsFlag,
  OUTPUT_GROUP,
  outputFlags,
  tokenFileFlag,
} from "./common-flags.ts";
import type { Credential } from "./credential-source.ts";
import { descriptorLimit, mostSockets } from "./descriptor-limit.ts";
import type { Environment } from "./environment.ts";
import { durationFlag, repeatedFlag, textFlag } from "./flags.ts";
import { checkDistinctListeners, type ForwardSpec, parseForwardSpec } from "./forward-spec.ts";
import { readHeaders } from "./header-source.ts";
import { LiveFiles } from "./live-files.ts";
import { inFlags } from "./option-fault.ts";
import {
  connectTimeoutFlag,
  RETRY_FLAG_NAMES,
  type RetryFlagValues,
  retryFlags,
  retryOptionsOf,
} from "./retry-flags.ts";
import { checkServerUrl, isPlainAndRemote } from "./server-urls.ts";
import {
  graceFlag,
  LIMIT_GROUP,
  LINK_GROUP,
  limitFlags,
  linkFlags,
  SESSION_FLAG_NAMES,
  type SessionFlagValues,
  sessionOptionsOf,
} from "./session-flags.ts";
import { UsageError } from "./usage-error.ts";

/** What the flags of `culvert client` yield. */
export interface ClientFlagValues
  extends CommonFlagValues,
    SessionFlagValues,
    RetryFlagValues,
    ClientTlsFlags {
  readonly loginKey?: string;
  readonly local?: readonly ForwardSpec[];
  readonly remote?: readonly ForwardSpec[];
  readonly name?: string;
  readonly header?: readonly string[];
  readonly dialTimeout: number;
}

/** Where what may change while it runs comes from. */
export interface ClientSources {
  readonly files: ClientFiles;
  /** Reads the token again, for each dial. */
  readonly readToken: (() => string) | undefined;
}

/** Gives `command` its argument, its flags and its help. */
export function defineClientCommand(command: Command): Command {
  const add = (group: string, options: readonly Option[]): void => {
    for (const option of options) command.addOption(option.helpGroup(group));
  };
  command
    .summary("connect to a server and carry connections either way")
    .description(
      "Connects to a server, and carries connections through it in either direction. " +
        "With several URLs the next one is tried when a server cannot be reached.",
    )
    .argument("[server-url...]", "ws://, wss://, http:// or https:// URLs of servers");
  add("Tunnels (at least one):", [
    repeatedFlag("-L, --local <spec>", "listen here, connect there: [bind:]port:host:port", "none", (text) =>
      parseForwardSpec(text, "-L"),
    ),
    repeatedFlag("-R, --remote <spec>", "listen there, connect here: [bind:]port:host:port", "none", (text) =>
      parseForwardSpec(text, "-R"),
    ),
    textFlag("--name <name>", "another client of this name displaces this one (env: CULVERT_NAME)", {
      none: "made of user, host and tunnels",
    }),
  ]);
  add("Connection:", [
    tokenFileFlag("file with the token to log in by, only for its owner; - asks for it"),
    textFlag("--login-key <file>", "key to log in by, made by culvert key new; only for its owner", {
      none: "CULVERT_LOGIN_KEY_FILE, or none",
    }),
    ...clientTlsFlags(),
    repeatedFlag(
      "--header <line>",
      "'Name: value' to send along; @file reads lines from a file",
      "none",
      (text) => text,
    ),
    connectTimeoutFlag(),
    durationFlag(
      "--dial-timeout",
      "time for a target of -R to accept a connection",
      CLIENT_DEFAULTS.dialTimeoutMs,
    ),
    drainFlag(),
  ]);
  add("Retries:", retryFlags());
  add(LINK_GROUP, [
    graceFlag("give up a lost session after this, if before the server does", { none: "the server's" }),
    ...linkFlags(),
  ]);
  add(LIMIT_GROUP, [maxSocketsFlag("sockets of visitors, targets and listeners"), ...limitFlags()]);
  add(OUTPUT_GROUP, outputFlags());
  return command;
}

/**
 * The options of the library for these arguments; reads headers.
 * @throws UsageError
 */
export function clientOptionsOf(
  urls: readonly string[],
  flags: ClientFlagValues,
  env: Environment,
  credential: Credential | undefined,
  { tls }: ClientFiles,
): ClientOptions {
  if (urls.length === 0) {
    throw new UsageError(
      "the URL of the server is missing: write it behind the command, as in culvert client ws://host2:9000 -L 8080:localhost:80.",
    );
  }
  const specs = [...(flags.local ?? []), ...(flags.remote ?? [])];
  if (specs.length === 0) {
    throw new UsageError(
      "a client needs at least one tunnel: add -L [bind:]port:host:port or -R [bind:]port:host:port.",
    );
  }
  checkDistinctListeners(specs);
  const headers = readHeaders(flags.header ?? []);
  if (
    credential !== undefined &&
    Object.keys(headers).some((name) => name.toLowerCase() === "authorization")
  ) {
    throw new UsageError(
      `--header sets Authorization, which ${credential.source} sets too: remove one of them.`,
    );
  }
  const name = checkName(flags.name, env);
  return {
    server: urls.map(checkServerUrl),
    token: credential?.kind === "token" ? credential.token : undefined,
    ...(credential?.kind === "key" ? { key: credential.pem } : {}),
    ...(tls === undefined ? {} : { tls: checkEncrypted(tls, urls) }),
    ...(name === undefined ? {} : { name }),
    headers,
    tunnels: specs.map(({ flag, listen, target }) => ({
      mode: flag === "-L" ? CONNECT : LISTEN,
      listen: formatEndpoint(listen),
      connect: formatEndpoint(target),
    })),
    retry: retryOptionsOf(flags),
    session: sessionOptionsOf(flags),
    dialTimeoutMs: flags.dialTimeout,
    ...(flags.maxSockets === undefined ? {} : { maxSockets: flags.maxSockets }),
    drainMs: flags.drain,
  };
}

function checkName(flag: string | undefined, env: Environment): string | undefined {
  const [what, name] = flag === undefined ? ["CULVERT_NAME", env.CULVERT_NAME] : ["--name", flag];
  if (name === undefined || (flag === undefined && name === "")) return undefined;
  if (name.length >= 1 && name.length <= 255 && isPlainText(name)) return name;
  throw new UsageError(`${what} must have 1 to 255 characters, and no control characters among them.`);
}

/**
 * Runs a client until a signal stops it.
 * @throws UsageError; CulvertError when it cannot start, or when it ends by itself.
 */
export async function runClient(
  options: ClientOptions,
  { files, readToken }: ClientSources,
  context: CommandContext,
): Promise<void> {
  const { log, signals } = context;
  const maxSockets = options.maxSockets ?? mostSockets(descriptorLimit());
  const token = readToken ?? options.token;
  const client = makeClient({ ...options, token, maxSockets, logger: log, agent: context.agent });
  tellReady(client, context);
  const live = new LiveFiles(
    files.parts(client, (act) => inFlags(act, FLAG_NAMES)),
    log,
  );
  signals.onHangup = () => live.readAgain();
  signals.onReport = () => report(client, log);
  warnOfPlainWay(options, context);

  const over = client.start().then(() => client.closed);
  const first = await Promise.race([over, signals.stopped]).finally(() => live.close());
  if (typeof first !== "string") {
    if (first !== undefined) throw first;
    return;
  }
  const drainMs = options.drainMs ?? CLIENT_DEFAULTS.drainMs;
  log.info(
    { signal: first, drainMs },
    "stopping: open connections may finish, a second signal ends it at once",
  );
  over.catch(() => undefined); // a start that is cut short says so, and nobody asks
  await withinBound(client.close(), drainMs, log);
}

function report(client: Client, log: Logger): void {
  const { session, tunnels, ...stats } = client.stats();
  log.info({ ...stats }, "state of the client");
  if (session !== undefined) {
    log.info({ session: session.id, server: session.server, ...session.link }, "state of the session");
  }
  for (const { name, stats, ...tunnel } of tunnels)
    log.info({ tunnel: name, ...tunnel, ...stats }, "state of a tunnel");
}

/** A line for each thing that is ready; all of them again when a session was lost and a new one is made. */
function tellReady(client: Client, { ready }: CommandContext): void {
  const tell = (tunnel: Tunnel, listen: string): void => {
    const side = tunnel.mode === CONNECT ? "local" : "remote";
    ready.tell({ ready: "tunnel", side, listen, target: String(tunnel.connect) });
  };
  client.on("state", ({ previous, current }) => {
    if (current !== "open" || previous !== "connecting") return;
    ready.tell({ ready: "client", server: client.stats().session?.server ?? "" });
    // Their listeners were there before, but until now would have reset every visitor.
    for (const tunnel of client.tunnels) {
      if (tunnel.mode === CONNECT && tunnel.address !== undefined) tell(tunnel, tunnel.address);
    }
  });
  client.on("tunnel", ({ tunnel, event }) => {
    if (tunnel.mode === LISTEN && event.type === "ready") tell(tunnel, event.address);
  });
}

function warnOfPlainWay({ server, token, key }: ClientOptions, { log }: CommandContext): void {
  if (!Array.isArray(server) || !server.some((url: string) => isPlainAndRemote(url))) return;
  if (token !== undefined) {
    log.warn({}, "the token and all data cross the network unencrypted: use wss:// beyond this machine");
  } else if (key !== undefined) {
    log.warn({}, "all data cross the network unencrypted: use wss:// beyond this machine");
  }
}

function makeClient(options: ClientOptions): Client {
  return inFlags(() => new Client(options), FLAG_NAMES);
}

const FLAG_NAMES: Readonly<Record<string, string>> = {
  ...SESSION_FLAG_NAMES,
  ...RETRY_FLAG_NAMES,
  server: "the server URL",
  token: "the token",
  key: "--login-key",
  tls: "--ca",
  "tls.ca": "--ca",
  "tls.pins": "--pin",
  "tls.cert": "--cert",
  "tls.key": "--key",
  "tls.serverName": "--server-name",
  name: "--name",
  headers: "--header",
  tunnels: "-L or -R",
  dialTimeoutMs: "--dial-timeout",
  maxSockets: "--max-sockets",
  drainMs: "--drain",
};
