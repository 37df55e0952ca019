import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OpenHandles } from "../support/open-handles.ts";
import { TunnelFixture } from "../support/tunnel-fixture.ts";
import { flap } from "./support/flap.ts";
import { IS_FULL_LENGTH } from "./support/scale.ts";
import { StandingLoad } from "./support/standing-load.ts";

const LINE = { bytesPerSecond: 5_000_000 };

/** Up and down for so long each, and for how long in all: not scaled, since the ladder of a client is not either. */
const FLAPS = [
  { everyMs: 200, lastsMs: IS_FULL_LENGTH ? 60_000 : 30_000 },
  { everyMs: 3000, lastsMs: IS_FULL_LENGTH ? 300_000 : 30_000 },
];

// The tests wait side by side, so what is left over can only be looked for when all are done.
let handles: OpenHandles;
beforeAll(() => {
  handles = new OpenHandles();
});
afterAll(() => handles.gone());

describe.concurrent("a link that comes and goes", () => {
  it.each(FLAPS)(
    "every $everyMs ms for $lastsMs ms: bytes move, dials and log lines are few",
    {
      timeout: 400_000,
    },
    async ({ everyMs, lastsMs }) => {
      // Whoever flaps so is told by each side itself, not by silence: defaults, ladder and keepalive included.
      await using fixture = await TunnelFixture.start({ seed: everyMs, client: { retry: {} } });
      const { proxy, client } = fixture;
      proxy.set({ up: LINE, down: LINE });
      await using load = await StandingLoad.start((mode, connect) => fixture.open(mode, connect), everyMs);
      const before = { dials: client.stats().dials, received: load.received };
      const linesBefore = loggedLines(fixture);
      const losses = Math.round(lastsMs / (2 * everyMs));
      // By halves, so that progress in the beginning only would not do.
      const received: number[] = [before.received];
      for (const _half of [1, 2]) {
        await flap(proxy, { everyMs, lastsMs: lastsMs / 2 });
        received.push(load.received);
      }
      const dials = client.stats().dials - before.dials;
      const lines = loggedLines(fixture) - linesBefore;
      const healedAt = performance.now();
      await load.moves();
      const wellMs = Math.round(performance.now() - healedAt);
      console.log(
        `${everyMs} ms up and down for ${lastsMs} ms: ${dials} dials, ${fixture.resumes} resumes, ${lines} lines, ` +
          `${received.join(", ")} bytes, well after ${wellMs} ms`,
      );
      for (const [n, bytes] of received.slice(1).entries()) expect(bytes).toBeGreaterThan(received[n] ?? 0);
      expect(dials).toBeLessThan((lastsMs / 1000) * 10);
      // Lost, failed, resumed: a few lines at each end for each dial and for each loss.
      expect(lines).toBeLessThan(10 * (dials + losses));
      await load.settle();
      expect(fixture.sessions).toBe(1);
      await fixture.quiet();
    },
  );
});

/** At the levels that are on by default. */
function loggedLines({ clientLog, serverLog }: TunnelFixture): number {
  const shown = ["info", "warn", "error"];
  return [...clientLog.lines, ...serverLog.lines].filter(({ level }) => shown.includes(level)).length;
}
