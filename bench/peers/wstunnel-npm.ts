import { readFile, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { findProgram, Program } from "../program.ts";
import type { Peer } from "./peer.ts";
import { isRustWstunnel } from "./wstunnel.ts";

/** Under a name of its own, or under the one that it shares with the program in Rust. */
async function command(): Promise<string | undefined> {
  const own = findProgram("wstunnel-npm");
  if (own !== undefined) return own;
  const shared = findProgram("wstunnel");
  return shared === undefined || (await isRustWstunnel(shared)) ? undefined : shared;
}

/** It does not print its version: its package has it. */
async function version(): Promise<string> {
  const script = await realpath((await command()) ?? "");
  const text = await readFile(join(dirname(script), "..", "package.json"), "utf8").catch(() => "{}");
  return (JSON.parse(text) as { version?: string }).version ?? "unknown version";
}

export const WSTUNNEL_NPM: Peer = {
  name: "wstunnel-npm",
  family: "wstunnel-npm",
  kind: "peer",
  security: "none",
  cipher: "none",
  modes: ["connect"],
  note: "a WebSocket for each stream, a client process for each forward",
  missing: async () =>
    (await command()) === undefined ? "wstunnel of npm not on the PATH (as wstunnel-npm)" : undefined,
  version,
  startServer: async ({ ports: [port] }) => [
    new Program((await command()) ?? "", ["-s", `127.0.0.1:${port}`]),
  ],
  startClient: async ({ servers: [server], forwards }) => {
    const program = (await command()) ?? "";
    const url = `ws://${server?.host}:${server?.port}`;
    return forwards.map(
      ({ listenPort, targetPort }) =>
        new Program(program, ["-t", `127.0.0.1:${listenPort}:127.0.0.1:${targetPort}`, url]),
    );
  },
};
