import { readdirSync } from "node:fs";
import { Client, type Mode } from "@culvert/client";
import { Server } from "@culvert/server";
import { answering } from "./answering.ts";

/** A server and a client in a process of their own, so that what they hold can be measured. */
const server = new Server({ port: 0, drainMs: 0 });
let client: Client | undefined;

/** What the process holds, after the collector ran. */
export interface Holdings {
  /** Memory in use, of the heap and outside of it, bytes. */
  readonly memory: number;
  readonly descriptors: number;
  /** Timers that keep the process alive; handles of sockets and listeners. */
  readonly timers: number;
  readonly sockets: number;
  readonly listeners: number;
  /** Of both sides together. */
  readonly streams: number;
}

answering({
  /** One tunnel for each; their addresses. */
  start: async (wanted: readonly { readonly mode: Mode; readonly target: string }[]) => {
    await server.start();
    const tunnels = wanted.map(({ mode, target }) => ({ mode, listen: "127.0.0.1:0", connect: target }));
    client = new Client({ server: server.address?.url ?? "", drainMs: 0, tunnels });
    await client.start();
    return client.tunnels.map(({ address }) => address);
  },
  holdings: async (): Promise<Holdings> => {
    // Twice, with a turn in between: what finalizers let go of is collected too.
    globalThis.gc?.();
    await new Promise(setImmediate);
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    const active = process.getActiveResourcesInfo();
    const count = (...types: string[]): number => active.filter((type) => types.includes(type)).length;
    return {
      memory: heapUsed + external,
      descriptors: readdirSync("/proc/self/fd").length,
      timers: count("Timeout"),
      sockets: count("TCPSocketWrap", "TCPConnectWrap"),
      listeners: count("TCPServerWrap"),
      streams: server.stats().streams + (client?.stats().session?.link.streams ?? 0),
    };
  },
  resumes: () => client?.stats().session?.link.resumes,
  close: async () => {
    await client?.close();
    await server.close();
  },
});
