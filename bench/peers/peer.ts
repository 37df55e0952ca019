import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { findProgram, type Program } from "../program.ts";

const execute = promisify(execFile);

/** CONNECT: the client listens and the server dials (-L). LISTEN: the server listens and the client dials (-R). */
export type Mode = "connect" | "listen";

/** What it protects what it carries with. Only alike is compared with alike. */
export type Security = "none" | "encrypted";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** One tunnel: visitors come to `listenPort`, on the side that the mode says, and reach `targetPort`; all of loopback. */
export interface Forward {
  readonly listenPort: number;
  readonly targetPort: number;
}

export interface ServerRequest {
  readonly mode: Mode;
  /** Where to listen for clients, on 127.0.0.1; one port, or one for each forward. */
  readonly ports: readonly number[];
  /** The forwards of each client. */
  readonly clients: readonly (readonly Forward[])[];
  /** For configuration and keys; empty, and deleted afterwards. */
  readonly folder: string;
  /** Streams that one client may come to have at once. */
  readonly streams: number;
  /** Whether the server is to tell its heap, if it can. */
  readonly withHeapProbe: boolean;
}

export interface ClientRequest {
  readonly mode: Mode;
  /** Where the server is reached, as many as it listens on. */
  readonly servers: readonly Address[];
  readonly forwards: readonly Forward[];
  /** Of this client among those of the server, from 0. */
  readonly index: number;
  /** The same as the server's. */
  readonly folder: string;
  readonly streams: number;
}

/** A program, set up in one way, that carries TCP connections; or what it is compared with. */
export interface Peer {
  /** Its row in the report. */
  readonly name: string;
  /** The project: several rows may be of one. */
  readonly family: string;
  /** "limit": no tunnel, but what none could beat in practice. Not taken for the best peer. */
  readonly kind: "culvert" | "peer" | "limit";
  readonly security: Security;
  /** Protocol and cipher, for the report. */
  readonly cipher: string;
  readonly modes: readonly Mode[];
  /** What a reader must know to compare fairly. */
  readonly note?: string;
  /** One server port for all forwards (default), or one for each. */
  readonly portForEachForward?: boolean;
  /** Its server listens on this port and no other. */
  readonly fixedPort?: number;
  /** Why thousands of streams or clients are not tried with it. */
  readonly notForThousands?: string;
  /** What of it is missing on this machine; undefined if it can run. */
  missing(): Promise<string | undefined>;
  version(): Promise<string>;
  startServer(request: ServerRequest): Promise<readonly Program[]>;
  startClient(request: ClientRequest): Promise<readonly Program[]>;
  /** Many clients at once; without it each is a {@link startClient}. */
  startClients?(requests: readonly ClientRequest[]): Promise<readonly Program[]>;
}

/** For {@link Peer.missing}: the commands of this list that are not on the PATH. */
export async function missingPrograms(...names: readonly string[]): Promise<string | undefined> {
  const absent = names.filter((name) => findProgram(name) === undefined);
  return absent.length === 0 ? undefined : `${absent.join(" and ")} not on the PATH`;
}

/** The first version number that a command prints, or what `pattern` catches. */
export async function versionOf(
  command: string,
  args: readonly string[],
  pattern: RegExp = /(\d+(?:\.\d+)+(?:p\d+)?)/,
): Promise<string> {
  const { stdout, stderr } = await execute(command, args, { timeout: 10_000 }).catch(
    (error: { stdout?: string; stderr?: string }) => ({
      stdout: error.stdout ?? "",
      stderr: error.stderr ?? "",
    }),
  );
  return pattern.exec(`${stdout}${stderr}`)?.[1] ?? "unknown version";
}
