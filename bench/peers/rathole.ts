import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Program } from "../program.ts";
import { missingPrograms, type Peer, versionOf } from "./peer.ts";

const TOKEN = "bench";
const QUIET = { env: { RUST_LOG: "error" } };

export const RATHOLE: Peer = {
  name: "rathole",
  family: "rathole",
  kind: "peer",
  security: "none",
  cipher: "none",
  modes: ["listen"],
  note: "a TCP connection for each stream, from a pool",
  missing: () => missingPrograms("rathole"),
  version: () => versionOf("rathole", ["--version"], /Build Version:\s+(\S+)/),
  startServer: async ({ ports: [port], clients, folder }) => {
    const services = clients
      .flat()
      .map(({ listenPort }) => `[server.services.s${listenPort}]\nbind_addr = "127.0.0.1:${listenPort}"\n`);
    const file = join(folder, "server.toml");
    const head = `[server]\nbind_addr = "127.0.0.1:${port}"\ndefault_token = "${TOKEN}"\n`;
    await writeFile(file, [head, ...services].join("\n"));
    return [new Program("rathole", ["--server", file], QUIET)];
  },
  startClient: async ({ servers: [server], forwards, folder, index }) => {
    const services = forwards.map(
      ({ listenPort, targetPort }) =>
        `[client.services.s${listenPort}]\nlocal_addr = "127.0.0.1:${targetPort}"\n`,
    );
    const file = join(folder, `client-${index}.toml`);
    const head = `[client]\nremote_addr = "${server?.host}:${server?.port}"\ndefault_token = "${TOKEN}"\n`;
    await writeFile(file, [head, ...services].join("\n"));
    return [new Program("rathole", ["--client", file], QUIET)];
  },
};
