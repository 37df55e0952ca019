import { setTimeout as wait } from "node:timers/promises";
import type { ChaosProxy } from "@culvert/chaos";
import type { Actor } from "./actor.ts";

/** Something bad that happens to the WebSocket. */
export interface Mischief {
  readonly text: string;
  /** How often the WebSocket dies of it. */
  readonly deaths: number;
  readonly act: (proxy: ChaosProxy, client: Actor) => void | Promise<void>;
}

const STALL_MS = 1200;

/** Everything that the demo does to the WebSocket, in this order. */
export const MISCHIEF: readonly Mischief[] = [
  {
    text: "reset (RST), as by a firewall that starts anew",
    deaths: 1,
    act: (proxy) => void proxy.cut({ how: "rst" }),
  },
  {
    text: "closed (FIN), as by a proxy with a time limit",
    deaths: 1,
    act: (proxy) => void proxy.cut({ how: "fin" }),
  },
  {
    text: "reset in the middle of a frame to the server",
    deaths: 1,
    act: (proxy) => proxy.cutAfter({ how: "rst", direction: "up", bytes: 12_345, which: "live" }),
  },
  {
    text: "closed in the middle of a frame to the client",
    deaths: 1,
    act: (proxy) => proxy.cutAfter({ how: "fin", direction: "down", bytes: 54_321, which: "live" }),
  },
  {
    text: `stalled for ${STALL_MS / 1000} s, as by a bad cable`,
    deaths: 0,
    async act(proxy) {
      proxy.pause();
      await wait(STALL_MS);
      proxy.resume();
    },
  },
  {
    text: "reset, and again as soon as it is back",
    deaths: 2,
    async act(proxy, client) {
      const isBack = client.next("open");
      proxy.cut({ how: "rst" });
      await isBack;
      proxy.cut({ how: "rst" });
    },
  },
  {
    text: "swallowed: still open, and nothing arrives",
    deaths: 1,
    async act(proxy) {
      proxy.set({ up: "blackhole", down: "blackhole" });
      // What has lost a byte stays a black hole; the WebSocket that replaces it shall be fine.
      const [victim] = proxy.connections;
      while (proxy.connections.some(({ id, up, down }) => id === victim?.id && !isLost(up, down)))
        await wait(20);
      proxy.set({ up: "pass", down: "pass" });
    },
  },
  {
    text: "reset a last time",
    deaths: 1,
    act: (proxy) => void proxy.cut({ how: "rst" }),
  },
];

function isLost(...lanes: readonly { readonly bytesDropped: number }[]): boolean {
  return lanes.every(({ bytesDropped }) => bytesDropped > 0);
}

/** How often the WebSocket dies of it all. */
export const DEATHS: number = MISCHIEF.reduce((sum, { deaths }) => sum + deaths, 0);
