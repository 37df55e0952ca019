import { Program } from "../program.ts";
import { missingPrograms, type Peer, versionOf } from "./peer.ts";

export const BORE: Peer = {
  name: "bore",
  family: "bore",
  kind: "peer",
  security: "none",
  cipher: "none",
  modes: ["listen"],
  note: "a TCP connection for each stream, a client process for each forward",
  fixedPort: 7835,
  missing: () => missingPrograms("bore"),
  version: () => versionOf("bore", ["--version"]),
  startServer: async () => [new Program("bore", ["server", "--bind-addr", "127.0.0.1"])],
  startClient: async ({ servers: [server], forwards }) =>
    forwards.map(
      ({ listenPort, targetPort }) =>
        new Program("bore", [
          ...["local", String(targetPort), "--local-host", "127.0.0.1"],
          ...["--to", server?.host ?? "", "--port", String(listenPort)],
        ]),
    ),
};
