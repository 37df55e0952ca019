import { ChaosPlan, Random } from "@culvert/chaos";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConversationPartner, converse } from "../support/conversation.ts";
import { until } from "../support/deadline.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { MODES, TunnelFixture } from "../support/tunnel-fixture.ts";

const WORKERS = 40;

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

describe("connections of every kind come and go while the link breaks", () => {
  it.each([1, 2, 3])("and each one is whole or a reset, as its ends wanted it (seed %i)", async (seed) => {
    const session = { pingIntervalMs: 200, silenceMs: 1000 };
    await using partner = await ConversationPartner.start();
    await using fixture = await TunnelFixture.start({ seed, client: { session }, server: { session } });
    const tunnels = await Promise.all(MODES.map((mode) => fixture.open(mode, partner.address)));
    const plan = ChaosPlan.random(seed, {
      count: 24,
      kinds: ["rst", "fin", "cutAfter", "cutAfter", "refuse", "stall", "blackhole", "slice", "delay"],
      gapMs: [30, 150],
      forMs: [20, 200],
      cutBytes: [1, 20_000],
      delayMs: [5, 20],
    });
    let isOver = false;
    const faults: string[] = [];
    const worker = async (n: number): Promise<number> => {
      const random = new Random(seed).derive(n);
      let count = 0;
      for (; !isOver; count += 1) faults.push(...(await converse(random.pick(tunnels).address, random)));
      return count;
    };
    const workers = Array.from({ length: WORKERS }, (_, n) => worker(n));
    const report = await fixture.proxy.run(plan);
    isOver = true;
    const counts = await Promise.all(workers);
    await until(() => partner.open === 0, "the target has no connection left");
    expect([...faults, ...partner.faults]).toEqual([]);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(WORKERS);
    expect(report.cuts).toBeGreaterThan(8);
    expect(fixture.sessions).toBe(1);
    await fixture.quiet();
  });
});
