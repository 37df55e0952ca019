import { Client, type ClientOptions } from "@culvert/client";
import { answering, givenOptions } from "./answering.ts";

/** A client in a process of its own. */
const client = new Client({ drainMs: 0, ...givenOptions<ClientOptions>() });
const detachments: (string | undefined)[] = [];
client.on("state", ({ current, cause }) => {
  if (current === "detached") detachments.push(cause?.code);
});

answering({
  start: async () => {
    await client.start();
    return client.tunnels.map(({ address }) => address);
  },
  /** Waits for its end; the code of the cause, if there is one. */
  closed: async () => (await client.closed)?.code,
  stats: () => client.stats(),
  /** The codes of the causes of each detachment so far. */
  detachments: () => detachments,
  close: () => client.close(),
});
