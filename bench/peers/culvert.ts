import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Program, type ProgramOptions } from "../program.ts";
import { certificateIn, makeCertificate } from "./certificate.ts";
import { type ClientRequest, missingPrograms, type Peer, type ServerRequest, versionOf } from "./peer.ts";

const BINARIES = join(import.meta.dirname, "..", "..", "node_modules", ".bin");
const CULVERT = join(BINARIES, "culvert");
const HEAP_PROBE = join(import.meta.dirname, "heap-probe.ts");

/** A limit of its own is raised only for what needs it; all else is measured as installed. */
const DEFAULT_MAX_STREAMS = 4_096;
const DEFAULT_MAX_SESSIONS = 1_000;

/** As the command's own first line has them, for programs of this folder that do its work. */
const NODE_FLAGS = ["--max-semi-space-size=1", "--initial-old-space-size=16", "--optimize-for-size"];

const BOTH_MODES = ["connect", "listen"] as const;

function streamFlags(streams: number): string[] {
  return streams < DEFAULT_MAX_STREAMS ? [] : ["--max-streams", String(streams + 64)];
}

/** The client checks certificates, and trusts none that nobody has signed unless it is told to. */
function trusting(url: string, folder: string): Readonly<Record<string, string>> {
  return url.startsWith("wss:") ? { NODE_EXTRA_CA_CERTS: certificateIn(folder).certificate } : {};
}

function startClient(url: (request: ClientRequest) => string, request: ClientRequest): Program[] {
  const flag = request.mode === "connect" ? "-L" : "-R";
  const tunnels = request.forwards.flatMap(({ listenPort, targetPort }) => [
    flag,
    `127.0.0.1:${listenPort}:127.0.0.1:${targetPort}`,
  ]);
  const args = ["client", url(request), ...tunnels, "--name", `bench-${request.index}`];
  return [
    new Program(CULVERT, [...args, ...streamFlags(request.streams), "--log-level", "error"], {
      env: trusting(url(request), request.folder),
    }),
  ];
}

/** One process for all of them: the clients of a thousand machines are not what is measured. */
async function startClients(
  url: (request: ClientRequest) => string,
  requests: readonly ClientRequest[],
): Promise<Program[]> {
  const [first] = requests;
  if (first === undefined) return [];
  const clients = requests.map((request) => ({
    server: url(request),
    mode: request.mode,
    forwards: request.forwards,
    name: `bench-${request.index}`,
  }));
  const script = join(import.meta.dirname, "culvert-clients-process.ts");
  const file = join(first.folder, "clients.json"); // too long for an argument
  await writeFile(file, JSON.stringify(clients));
  return [
    new Program(process.execPath, [...NODE_FLAGS, script, file], {
      env: trusting(url(first), first.folder),
    }),
  ];
}

/** With the probe the server is not quite the one that is installed: it is loaded only where the heap is asked for. */
function probed(withHeapProbe: boolean): ProgramOptions {
  return withHeapProbe ? { ipc: true, env: { NODE_OPTIONS: `--import=${HEAP_PROBE}` } } : {};
}

async function startPlainServer(request: ServerRequest): Promise<Program[]> {
  const { ports, streams, clients, withHeapProbe } = request;
  const args = ["server", "--port", String(ports[0]), "--log-level", "error", ...streamFlags(streams)];
  if (clients.length >= DEFAULT_MAX_SESSIONS) args.push("--max-sessions", String(clients.length * 2));
  return [new Program(CULVERT, args, probed(withHeapProbe))];
}

async function startTlsServer(request: ServerRequest): Promise<Program[]> {
  const { ports, streams, clients, folder, withHeapProbe } = request;
  const { certificate, key } = await makeCertificate(folder);
  const script = join(import.meta.dirname, "culvert-tls-process.ts");
  const settings = {
    port: ports[0],
    certificate,
    key,
    maxSessions: Math.max(DEFAULT_MAX_SESSIONS, clients.length * 2),
    maxStreams: Math.max(DEFAULT_MAX_STREAMS, streams + 64),
  };
  return [
    new Program(process.execPath, [...NODE_FLAGS, script, JSON.stringify(settings)], probed(withHeapProbe)),
  ];
}

const plainUrl = ({ servers: [server] }: ClientRequest): string => `ws://${server?.host}:${server?.port}`;
const tlsUrl = ({ servers: [server] }: ClientRequest): string => `wss://${server?.host}:${server?.port}`;

/** The command at both ends, a plain WebSocket between. */
export const CULVERT_WS: Peer = {
  name: "culvert-ws",
  family: "culvert",
  kind: "culvert",
  security: "none",
  cipher: "none",
  modes: BOTH_MODES,
  missing: () => missingPrograms(),
  version: () => versionOf(CULVERT, ["--version"]),
  startServer: startPlainServer,
  startClient: async (request) => startClient(plainUrl, request),
  startClients: async (requests) => startClients(plainUrl, requests),
};

/** The command as client; the server with TLS of its own. */
export const CULVERT_WSS: Peer = {
  name: "culvert-wss",
  family: "culvert",
  kind: "culvert",
  security: "encrypted",
  cipher: "TLS 1.3, TLS_AES_256_GCM_SHA384",
  modes: BOTH_MODES,
  note: "the server is started by a launcher of the benchmark, with a self-signed certificate",
  missing: () => missingPrograms("openssl"),
  version: () => versionOf(CULVERT, ["--version"]),
  startServer: startTlsServer,
  startClient: async (request) => startClient(tlsUrl, request),
  startClients: async (requests) => startClients(tlsUrl, requests),
};
