import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { type ChaosKind, ChaosPlan, type ChaosStep } from "../src/index.ts";
import { Rig, random, until } from "./rig.ts";

describe("ChaosPlan", () => {
  it("is the same for the same seed", () => {
    expect(ChaosPlan.random(3)).toEqual(ChaosPlan.random(3));
    expect(ChaosPlan.random(3).steps).not.toEqual(ChaosPlan.random(4).steps);
    expect(JSON.parse(JSON.stringify(ChaosPlan.random(3))).steps).toEqual(ChaosPlan.random(3).steps);
  });

  it("deals each kind once before any comes again", () => {
    const kinds: ChaosKind[] = ["rst", "fin", "stall", "flip"];
    const steps = ChaosPlan.random(8, { count: 12, kinds }).steps;
    for (let i = 0; i < 12; i += 4) {
      expect(
        steps
          .slice(i, i + 4)
          .map(({ kind }) => kind)
          .sort(),
      ).toEqual([...kinds].sort());
    }
  });

  it("stays within its ranges", () => {
    const plan = ChaosPlan.random(8, {
      count: 200,
      kinds: ["cutAfter"],
      gapMs: [1, 2],
      forMs: [3, 3],
      cutBytes: [5, 9],
    });
    const bytes = new Set(plan.steps.map((step) => (step.kind === "cutAfter" ? step.bytes : -1)));
    expect([...bytes].sort()).toEqual([5, 6, 7, 8, 9]);
    expect(
      plan.steps.every((step) => "forMs" in step && step.forMs === 3 && step.gapMs >= 1 && step.gapMs <= 2),
    ).toBe(true);
  });

  it("draws only steps that it accepts, of every kind but flip", () => {
    const plan = ChaosPlan.random(11, { count: 500 });
    expect(new Set(plan.steps.map(({ kind }) => kind)).size).toBe(10);
  });

  it.each<[unknown, string]>([
    [{ kind: "boom", gapMs: 0 }, "steps[0].kind"],
    [{ kind: "rst" }, "steps[0].gapMs"],
    [{ kind: "stall", gapMs: 0, direction: "up" }, "forMs"],
    [{ kind: "stall", gapMs: 0, forMs: 1, direction: "left" }, "steps[0].direction"],
    [{ kind: "delay", gapMs: 0, forMs: 1, direction: "up" }, "no shape"],
    [{ kind: "delay", gapMs: 0, forMs: 1, direction: "up", shape: { delayMs: -1 } }, "delayMs"],
    [{ kind: "cutAfter", gapMs: 0, forMs: 1, direction: "up", how: "fin", bytes: 0.5 }, "steps[0].bytes"],
  ])("refuses %j", (step, message) => {
    expect(() => new ChaosPlan([step as ChaosStep])).toThrow(message);
  });

  it("refuses bad ranges", () => {
    expect(() => ChaosPlan.random(1, { gapMs: [5, 4] })).toThrow("gapMs");
    expect(() => ChaosPlan.random(1, { kinds: [] })).toThrow("kinds");
    expect(() => ChaosPlan.random(1, { cont: 1 } as never)).toThrow('"cont"');
  });
});

/** A visitor that comes again whenever it was cut, until the signal. */
async function keepVisiting(rig: Rig, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const near = await rig.visit();
    const talk = setInterval(() => near.socket.write(random(1_000)), 1);
    const stop = (): unknown => near.socket.destroy();
    near.socket.once("end", stop);
    signal.addEventListener("abort", stop);
    await near.closed;
    signal.removeEventListener("abort", stop);
    clearInterval(talk);
  }
}

describe("run", () => {
  it("does every kind of step and says so", async () => {
    await using rig = await Rig.start();
    const over = new AbortController();
    const visiting = keepVisiting(rig, over.signal);
    const kinds: ChaosKind[] = [
      "rst",
      "fin",
      "cutAfter",
      "refuse",
      "stall",
      "blackhole",
      "delay",
      "throttle",
      "slice",
      "coalesce",
      "flip",
    ];
    const plan = ChaosPlan.random(21, {
      kinds,
      count: 22,
      gapMs: [0, 5],
      forMs: [20, 40],
      cutBytes: [0, 500],
      delayMs: [0, 5],
    });
    const report = await rig.proxy.run(plan);
    over.abort();
    await visiting;
    expect(report).toMatchObject({ seed: 21, aborted: false });
    expect(report.done + report.missed).toBe(22);
    for (const kind of kinds)
      expect([kind, report.counts[kind]]).toEqual([kind, kind === "cutAfter" ? expect.any(Number) : 2]);
    expect(report.cuts).toBeGreaterThanOrEqual(6);
    expect(rig.proxy.faults).toEqual({ up: "pass", down: "pass" });
  });

  it("puts a step's fault over what is set, and takes it away", async () => {
    await using rig = await Rig.start();
    await rig.pair();
    rig.proxy.set({ up: { delayMs: 1 } });
    const seen: unknown[] = [];
    rig.proxy.on("faults", (faults) => seen.push(faults));
    const report = await rig.proxy.run([
      { kind: "stall", gapMs: 0, forMs: 1, direction: "down" },
      { kind: "slice", gapMs: 0, forMs: 1, direction: "both", shape: { slice: { maxBytes: 1 } } },
    ]);
    expect(report.done).toBe(2);
    const base = { up: { delayMs: 1 }, down: "pass" };
    const sliced = { slice: { maxBytes: 1 } };
    expect(seen).toEqual([{ ...base, down: "stall" }, base, { up: sliced, down: sliced }, base]);
  });

  it("waits for a connection before each step", async () => {
    await using rig = await Rig.start();
    const running = rig.proxy.run([{ kind: "rst", gapMs: 0 }]);
    const near = await rig.visit();
    expect(await running).toMatchObject({ done: 1, missed: 0, cuts: 1 });
    expect(await near.closed).toBe("ECONNRESET");
  });

  it("cuts in the middle, at the byte that the step says", async () => {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    const running = rig.proxy.run([
      { kind: "cutAfter", gapMs: 0, forMs: 60_000, bytes: 1_234, direction: "up", how: "fin" },
    ]);
    const sent = random(10_000);
    // The step is armed in a turn that no event tells.
    const talk = setInterval(() => near.socket.write(sent), 2);
    const report = await running;
    clearInterval(talk);
    expect(report.counts.cutAfter).toBe(1);
    await far.ended;
    expect(far.bytes % 10_000).toBe(1_234);
  });

  it("lets a cut go that did not come about", async () => {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    const report = await rig.proxy.run([
      { kind: "cutAfter", gapMs: 0, forMs: 1, bytes: 1, direction: "up", how: "rst" },
    ]);
    expect(report).toMatchObject({ done: 0, missed: 1, cuts: 0, aborted: false });
    near.socket.write("abc");
    await far.got(3);
  });

  it("resets after a black hole what lost something, and nothing else", async () => {
    await using rig = await Rig.start();
    const [lost, spared] = [await rig.pair(), await rig.pair()];
    rig.proxy.once("faults", () => lost.near.socket.write("gone"));
    const abort = new AbortController();
    const running = rig.proxy.run(
      [{ kind: "blackhole", gapMs: 0, forMs: 60_000, direction: "up" }],
      abort.signal,
    );
    await until(() => rig.proxy.stats().up.bytesDropped === 4);
    abort.abort();
    await running;
    expect([await lost.near.closed, await lost.far.closed]).toEqual(["ECONNRESET", "ECONNRESET"]);
    spared.near.socket.write("fine");
    await spared.far.got(4);
  });

  it("ends early and tells what it did, on abort and on close", async () => {
    const steps: ChaosStep[] = [
      { kind: "rst", gapMs: 0 },
      { kind: "rst", gapMs: 600_000 },
    ];
    await using rig = await Rig.start();
    for (const end of ["abort", "close"]) {
      await rig.pair();
      const abort = new AbortController();
      const cut = once(rig.proxy, "cut");
      const running = rig.proxy.run(steps, abort.signal);
      await expect(rig.proxy.run([])).rejects.toThrow("a plan is running");
      await cut;
      if (end === "abort") abort.abort();
      else await rig.proxy.close();
      expect(await running).toMatchObject({ done: 1, missed: 0, aborted: true });
    }
    expect(await rig.proxy.run(steps)).toMatchObject({ done: 0, aborted: true });
  });

  it("refuses a bad plan before it does anything", async () => {
    await using rig = await Rig.start();
    await expect(rig.proxy.run([{ kind: "boom", gapMs: 0 } as never])).rejects.toThrow("steps[0].kind");
    expect(await rig.proxy.run([])).toMatchObject({ done: 0, aborted: false });
  });
});
