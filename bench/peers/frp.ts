import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Program } from "../program.ts";
import { type ClientRequest, type Forward, missingPrograms, type Peer, versionOf } from "./peer.ts";

const TOKEN = "bench";

function head({ servers: [server] }: ClientRequest, tls: boolean): string {
  return [
    `serverAddr = "${server?.host}"`,
    `serverPort = ${server?.port}`,
    `auth.token = "${TOKEN}"`,
    "loginFailExit = false",
    'log.level = "error"',
    `transport.tls.enable = ${tls}`,
    "",
  ].join("\n");
}

/** A port of the server. */
function remoteProxy({ listenPort, targetPort }: Forward): string {
  return [
    "[[proxies]]",
    `name = "r${listenPort}"`,
    'type = "tcp"',
    'localIP = "127.0.0.1"',
    `localPort = ${targetPort}`,
    `remotePort = ${listenPort}`,
    "",
  ].join("\n");
}

/** It cannot dial from the server: a client beside the target offers it (stcp), and one beside the visitor takes it. */
function secretProxy({ listenPort, targetPort }: Forward): string {
  return [
    "[[proxies]]",
    `name = "s${listenPort}"`,
    'type = "stcp"',
    `secretKey = "${TOKEN}"`,
    'localIP = "127.0.0.1"',
    `localPort = ${targetPort}`,
    "",
  ].join("\n");
}

function visitor({ listenPort }: Forward): string {
  return [
    "[[visitors]]",
    `name = "v${listenPort}"`,
    'type = "stcp"',
    `serverName = "s${listenPort}"`,
    `secretKey = "${TOKEN}"`,
    'bindAddr = "127.0.0.1"',
    `bindPort = ${listenPort}`,
    "",
  ].join("\n");
}

async function frpc(request: ClientRequest, name: string, text: string): Promise<Program> {
  const file = join(request.folder, `${name}-${request.index}.toml`);
  await writeFile(file, text);
  return new Program("frpc", ["-c", file]);
}

function frp(security: "plain" | "tls"): Peer {
  const tls = security === "tls";
  return {
    name: `frp-${security}`,
    family: "frp",
    kind: "peer",
    security: tls ? "encrypted" : "none",
    cipher: tls ? "TLS, version and cipher by the default order of Go" : "none",
    modes: ["connect", "listen"],
    note: "over TCP; a local forward is its stcp, which passes the server on the way to a second client",
    missing: () => missingPrograms("frps", "frpc"),
    version: () => versionOf("frps", ["--version"]),
    startServer: async ({ ports: [port], folder }) => {
      const file = join(folder, "frps.toml");
      const lines = [
        'bindAddr = "127.0.0.1"',
        `bindPort = ${port}`,
        'proxyBindAddr = "127.0.0.1"',
        `auth.token = "${TOKEN}"`,
        'log.level = "error"',
        "",
      ];
      await writeFile(file, lines.join("\n"));
      return [new Program("frps", ["-c", file])];
    },
    startClient: async (request) => {
      const start = head(request, tls);
      if (request.mode === "listen") {
        return [await frpc(request, "client", start + request.forwards.map(remoteProxy).join("\n"))];
      }
      return [
        await frpc(request, "offer", start + request.forwards.map(secretProxy).join("\n")),
        await frpc(request, "visit", start + request.forwards.map(visitor).join("\n")),
      ];
    },
  };
}

export const FRP_PLAIN: Peer = frp("plain");
export const FRP_TLS: Peer = frp("tls");
