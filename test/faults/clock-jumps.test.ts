import type { ServerAddress } from "@culvert/server";
import { describe, expect, it } from "vitest";
import { persistently } from "../support/deadline.ts";
import { Forked } from "../support/forked.ts";
import { Service } from "../support/service.ts";
import { MODES } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

const HOUR_MS = 3_600_000;
const JUMPS = [HOUR_MS, -HOUR_MS, 24 * HOUR_MS, -24 * HOUR_MS];
/** So many frames of keepalive take longer than it takes to look at the clock, every 2 s. */
const FRAMES = 16;
const SESSION = { pingIntervalMs: 300, silenceMs: 2000, graceMs: 5000 };

interface Counts {
  readonly framesSent: number;
  readonly framesReceived: number;
}

describe.concurrent("a wall clock that jumps by an hour and by a day, there and back", () => {
  it.each(["client", "server"] as const)(
    "at the %s: no session ends, no timer fires early",
    {
      timeout: 90_000,
    },
    async (side) => {
      await using service = await Service.echo();
      const file = "../faults/support/shifted-process.ts";
      await using server = Forked.start(file, { side: "server", port: 0, session: SESSION });
      const { url } = await server.ask<ServerAddress>("start");
      const tunnels = MODES.map((mode) => ({ mode, listen: "127.0.0.1:0", connect: service.address }));
      await using client = Forked.start(file, { side: "client", server: url, session: SESSION, tunnels });
      const addresses = await client.ask<string[]>("start");
      const visitors = await Promise.all(addresses.map((address) => WireEnd.connect(address)));
      const jumping = side === "client" ? client : server;
      for (const jump of JUMPS) {
        const before = await jumping.ask<Counts>("frames");
        expect(Math.round((await jumping.ask<number>("shift", jump)) / HOUR_MS)).toBe(jump / HOUR_MS);
        const after = await persistently(
          async () => {
            const counts = await jumping.ask<Counts>("frames");
            if (counts.framesReceived < before.framesReceived + FRAMES) throw new Error("not yet");
            return counts;
          },
          `${FRAMES} frames of keepalive`,
          30_000,
        );
        // A burst would send without being answered. How many came meanwhile depends on who was let run.
        const received = after.framesReceived - before.framesReceived;
        expect(after.framesSent - before.framesSent).toBeLessThan(2 * received + 10);
        for (const visitor of visitors) expect(await visitor.ask(`${jump}`)).toBe(`${jump}`);
      }
      expect([await client.ask("detachments"), await server.ask("detachments")]).toEqual([[], []]);
      expect(await client.ask("stats")).toMatchObject({ dials: 1, sessions: 1 });
      for (const { socket } of visitors) socket.destroy();
    },
  );
});
