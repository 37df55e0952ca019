import { Program } from "../program.ts";
import { missingPrograms, type Peer, versionOf } from "./peer.ts";

/** Bytes that it reads at a time; its default of 8 KiB would be no limit of anything. */
const BUFFER = "262144";
/** Seconds that one direction may go on when the other has ended; by itself it waits half a one. */
const AFTER_END = "600";

function relay(from: number, host: string, to: number): Program {
  return new Program("socat", [
    ...["-b", BUFFER, "-t", AFTER_END],
    `TCP4-LISTEN:${from},bind=127.0.0.1,reuseaddr,fork,nodelay,backlog=1024`,
    `TCP4:${host}:${to},nodelay`,
  ]);
}

/** Two relays one behind the other: the two processes that a tunnel needs at the least, doing nothing but copy. */
export const SOCAT: Peer = {
  name: "socat",
  family: "socat",
  kind: "limit",
  security: "none",
  cipher: "none",
  modes: ["connect", "listen"],
  note: "two in a chain, no protocol, a process for each connection",
  portForEachForward: true,
  notForThousands: "it forks a process for each connection",
  missing: () => missingPrograms("socat"),
  version: () => versionOf("socat", ["-V"]),
  startServer: async ({ ports, clients }) =>
    clients.flat().map(({ targetPort }, i) => relay(ports[i] ?? 0, "127.0.0.1", targetPort)),
  startClient: async ({ servers, forwards }) =>
    forwards.map(({ listenPort }, i) =>
      relay(listenPort, servers[i]?.host ?? "127.0.0.1", servers[i]?.port ?? 0),
    ),
};
