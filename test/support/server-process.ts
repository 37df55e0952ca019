import { Server, type ServerOptions } from "@culvert/server";
import { answering, givenOptions } from "./answering.ts";

/** A server in a process of its own. */
const server = new Server({ drainMs: 0, ...givenOptions<ServerOptions>() });
const endings: (string | undefined)[] = [];
const detachments: (string | undefined)[] = [];
server.on("session", ({ current, cause }) => {
  if (current === "ended") endings.push(cause?.code);
  if (current === "detached") detachments.push(cause?.code);
});

answering({
  start: async () => {
    await server.start();
    return server.address;
  },
  stats: () => server.stats(),
  sessions: () => server.sessions(),
  /** The codes of the causes of each detachment and end of a session so far. */
  detachments: () => detachments,
  endings: () => endings,
  close: () => server.close(),
});
