import { Client, type ClientOptions } from "@culvert/client";
import { Server, type ServerOptions } from "@culvert/server";
import { answering, givenOptions } from "../../support/answering.ts";

/** A server, or a client, in a process of its own that tells what it holds. */
const options = givenOptions<{ readonly server?: ServerOptions; readonly client?: ClientOptions }>();
const server = new Server({ drainMs: 0, ...options.server });
const client = options.client === undefined ? undefined : new Client({ drainMs: 0, ...options.client });

answering({
  /** The port of the server. */
  serve: async () => {
    await server.start();
    return server.address?.port;
  },
  /** Dials, without waiting for what comes of it. */
  dial: () => void client?.start().catch(() => undefined),
  /** Memory in use, of the heap and outside of it, after the collector ran, bytes. */
  memory: async () => {
    // Twice, with a turn in between: what finalizers let go of is collected too.
    globalThis.gc?.();
    await new Promise(setImmediate);
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  },
  /** Sessions, and connections that have not come to one. */
  guests: () => server.stats().sessions + server.stats().handshaking,
});
