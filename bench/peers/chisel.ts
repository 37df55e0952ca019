import { Program } from "../program.ts";
import { missingPrograms, type Peer, versionOf } from "./peer.ts";

export const CHISEL: Peer = {
  name: "chisel",
  family: "chisel",
  kind: "peer",
  security: "encrypted",
  cipher: "SSH inside a plain WebSocket, cipher by the default order of Go",
  modes: ["connect", "listen"],
  missing: () => missingPrograms("chisel"),
  version: () => versionOf("chisel", ["--version"]),
  startServer: async ({ ports: [port] }) => [
    new Program("chisel", ["server", "--host", "127.0.0.1", "--port", String(port), "--reverse"]),
  ],
  startClient: async ({ servers: [server], forwards, mode }) => {
    const remotes = forwards.map(
      ({ listenPort, targetPort }) =>
        `${mode === "listen" ? "R:" : ""}127.0.0.1:${listenPort}:127.0.0.1:${targetPort}`,
    );
    return [new Program("chisel", ["client", `http://${server?.host}:${server?.port}`, ...remotes])];
  },
};
