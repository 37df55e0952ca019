import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { findProgram, Program } from "../program.ts";
import { type Peer, versionOf } from "./peer.ts";

const execute = promisify(execFile);

/** Two programs have this name. The one in Rust tells of its subcommands, the one of npm of a tunnel flag. */
export async function isRustWstunnel(command: string): Promise<boolean> {
  const { stdout } = await execute(command, ["--help"], { timeout: 10_000 }).catch(
    (error: { stdout?: string }) => ({ stdout: error.stdout ?? "" }),
  );
  return /^\s*(server|Commands:)/m.test(stdout);
}

async function missing(): Promise<string | undefined> {
  const command = findProgram("wstunnel");
  if (command === undefined) return "wstunnel not on the PATH";
  return (await isRustWstunnel(command)) ? undefined : "wstunnel on the PATH is the one of npm";
}

const QUIET = ["--log-lvl", "ERROR"];

function wstunnel(scheme: "ws" | "wss"): Peer {
  return {
    name: `wstunnel-${scheme}`,
    family: "wstunnel",
    kind: "peer",
    security: scheme === "ws" ? "none" : "encrypted",
    cipher: scheme === "ws" ? "none" : "TLS, version and cipher by the default order of rustls",
    modes: ["connect", "listen"],
    note: "a WebSocket for each stream",
    missing,
    version: () => versionOf("wstunnel", ["--version"]),
    startServer: async ({ ports: [port] }) => [
      new Program("wstunnel", ["server", ...QUIET, `${scheme}://127.0.0.1:${port}`]),
    ],
    startClient: async ({ servers: [server], forwards, mode }) => {
      const tunnels = forwards.flatMap(({ listenPort, targetPort }) => [
        mode === "connect" ? "-L" : "-R",
        `tcp://127.0.0.1:${listenPort}:127.0.0.1:${targetPort}`,
      ]);
      const url = `${scheme}://${server?.host}:${server?.port}`;
      return [new Program("wstunnel", ["client", ...QUIET, ...tunnels, url])];
    },
  };
}

export const WSTUNNEL_WS: Peer = wstunnel("ws");
export const WSTUNNEL_WSS: Peer = wstunnel("wss");
