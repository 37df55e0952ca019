import type { Peer } from "./peer.ts";

/** No tunnel at all: what the load and the target cost by themselves. */
export const DIRECT: Peer = {
  name: "direct",
  family: "direct",
  kind: "limit",
  security: "none",
  cipher: "none",
  modes: ["connect", "listen"],
  note: "the visitor connects to the target",
  portForEachForward: true,
  missing: async () => undefined,
  version: async () => "-",
  startServer: async () => [],
  startClient: async () => [],
};
