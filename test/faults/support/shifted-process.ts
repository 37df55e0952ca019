import { Client, type ClientOptions } from "@culvert/client";
import { Server, type ServerOptions } from "@culvert/server";
import { answering, givenOptions } from "../../support/answering.ts";
import { shiftClock } from "./shifted-clock.ts";

/** One side in a process whose wall clock can be set. */
const { side, ...options } = givenOptions<{ readonly side: "client" | "server" }>();
const detachments: (string | undefined)[] = [];
const common = {
  shift: shiftClock,
  detachments: () => detachments,
};

if (side === "client") {
  const client = new Client({ drainMs: 0, ...(options as unknown as ClientOptions) });
  client.on("state", ({ current, cause }) => {
    if (current === "detached") detachments.push(cause?.code);
  });
  answering({
    ...common,
    start: async () => {
      await client.start();
      return client.tunnels.map(({ address }) => address);
    },
    stats: () => client.stats(),
    frames: () => client.stats().session?.link,
  });
} else {
  const server = new Server({ drainMs: 0, ...(options as ServerOptions) });
  server.on("session", ({ current, cause }) => {
    if (current === "detached") detachments.push(cause?.code);
  });
  answering({
    ...common,
    start: async () => {
      await server.start();
      return server.address;
    },
    stats: () => server.stats(),
    frames: () => server.sessions()[0]?.link,
  });
}
