// Many Culvert clients in one process. Takes the name of a file that has them as JSON.
import { readFileSync } from "node:fs";
import { Client, CONNECT, LISTEN } from "@culvert/client";
import type { Forward, Mode } from "./peer.ts";

interface Settings {
  readonly server: string;
  readonly mode: Mode;
  readonly forwards: readonly Forward[];
  readonly name: string;
}

/** Handshakes under way at once: a server takes 200 a second, and a herd would only be told to come back later. */
const AT_ONCE = 8;

const waiting = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Settings[];

async function startSome(): Promise<void> {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const mode: typeof CONNECT | typeof LISTEN = next.mode === "connect" ? CONNECT : LISTEN;
    const tunnels = next.forwards.map(({ listenPort, targetPort }) => ({
      mode,
      listen: `127.0.0.1:${listenPort}`,
      connect: `127.0.0.1:${targetPort}`,
    }));
    await new Client({ server: next.server, name: next.name, tunnels }).start();
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, startSome));
