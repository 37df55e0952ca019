import { ChaosPlan } from "@culvert/chaos";
import type { Tunnel } from "@culvert/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { SeededSink } from "../support/seeded-sink.ts";
import { SeededSource } from "../support/seeded-source.ts";
import { Service } from "../support/service.ts";
import { type FixtureOptions, MODES, QUICK_RETRY, TunnelFixture } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

/** Silence is found soon, but not so soon that a busy machine looks silent. */
const ALERT = { pingIntervalMs: 200, silenceMs: 800 };

const LINE = { bytesPerSecond: 10_000_000 };

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

/** Bulk in both directions of one connection. */
class Duel {
  readonly #visitor: WireEnd;
  readonly #ups: readonly [SeededSource, SeededSink];
  readonly #downs: readonly [SeededSource, SeededSink];

  private constructor(visitor: WireEnd, target: WireEnd, seed: number) {
    this.#visitor = visitor;
    this.#ups = [new SeededSource(visitor.socket, seed), new SeededSink(target.socket, seed)];
    this.#downs = [new SeededSource(target.socket, seed + 1), new SeededSink(visitor.socket, seed + 1)];
  }

  static async start(tunnel: Tunnel, service: Service, seed: number): Promise<Duel> {
    const visitor = await WireEnd.connect(tunnel.address);
    const target = await service.next();
    visitor.keepsNothing();
    target.keepsNothing();
    return new Duel(visitor, target, seed);
  }

  /** Bytes that have arrived, both ways. */
  get received(): number {
    return this.#ups[1].received + this.#downs[1].received;
  }

  /** Nothing more is sent, in either direction. */
  stop(): void {
    this.#ups[0].stop();
    this.#downs[0].stop();
  }

  /** Waits until everything has arrived, byte for byte, and both ends in good order. */
  async settle(): Promise<void> {
    for (const [source, sink] of [this.#ups, this.#downs]) {
      expect(await sink.whole).toBe(await source.done);
    }
    expect(await this.#visitor.closed()).toBe("end");
  }
}

interface Arena extends AsyncDisposable {
  readonly fixture: TunnelFixture;
  readonly duels: readonly Duel[];
}

/** Bulk in both directions through both modes at once, over a proxy of that seed. */
async function arena(seed: number, options: FixtureOptions = {}): Promise<Arena> {
  const service = await Service.start();
  const session = { ...ALERT };
  const retry = { ...QUICK_RETRY, connectTimeoutMs: 2000 };
  const fixture = await TunnelFixture.start({
    client: { session, retry },
    server: { session },
    seed,
    ...options,
  });
  // Always more to send than the line takes, and the machine is not busy with sending only.
  fixture.proxy.set({ up: LINE, down: LINE });
  const duels: Duel[] = [];
  for (const mode of MODES) {
    duels.push(await Duel.start(await fixture.open(mode, service.address), service, seed + duels.length * 2));
  }
  const close = async (): Promise<void> => {
    await fixture[Symbol.asyncDispose]();
    await service[Symbol.asyncDispose]();
  };
  return { fixture, duels, [Symbol.asyncDispose]: close };
}

async function settle({ fixture, duels }: Arena): Promise<void> {
  for (const duel of duels) duel.stop();
  for (const duel of duels) await duel.settle();
  expect(fixture.sessions).toBe(1);
  expect(fixture.server.sessions()).toHaveLength(1);
  await fixture.quiet();
}

describe("bulk both ways through both modes at once", () => {
  it.each([11, 12])("over 24 cuts, stalls and black holes drawn from seed %i", async (seed) => {
    await using field = await arena(seed);
    const plan = ChaosPlan.random(seed, {
      count: 40,
      kinds: [
        "rst",
        "rst",
        "fin",
        "cutAfter",
        "cutAfter",
        "cutAfter",
        "refuse",
        "stall",
        "blackhole",
        "slice",
      ],
      gapMs: [20, 100],
      forMs: [20, 150],
    });
    const report = await field.fixture.proxy.run(plan);
    expect(report.aborted).toBe(false);
    await settle(field);
    expect(report.cuts).toBeGreaterThanOrEqual(20);
    expect(field.fixture.resumes).toBeGreaterThanOrEqual(15);
  });

  it("cut again and again while the session is being resumed, 20 times in a row, in both directions", async () => {
    await using field = await arena(31);
    const { proxy, states } = { ...field.fixture, proxy: field.fixture.proxy, states: field.fixture.states };
    // Through the upgrade (about 300 bytes up, 170 down), HELLO and WELCOME (about 500 each) and the first replayed frames.
    for (let n = 0; n < 20; n += 1) {
      proxy.cutAfter({
        bytes: 37 + n * 61,
        direction: n % 2 === 0 ? "up" : "down",
        how: n % 3 === 0 ? "fin" : "rst",
      });
    }
    proxy.cut({ how: "rst" });
    await until(() => proxy.stats().accepted >= 22, "20 cuts and one that was not");
    await states.reaches("open");
    const before = field.duels.map(({ received }) => received);
    await until(
      () => field.duels.every(({ received }, n) => received > (before[n] ?? 0)),
      "bytes flow again",
    );
    await settle(field);
  });

  it("a link that flaps every 200 ms makes progress", async () => {
    await using field = await arena(41);
    const { proxy } = field.fixture;
    const steps = Array.from({ length: 10 }, () => ({ kind: "refuse", gapMs: 200, forMs: 200 }) as const);
    const progress: number[] = [];
    proxy.on("faults", () => progress.push(field.duels.reduce((sum, { received }) => sum + received, 0)));
    const report = await proxy.run(new ChaosPlan(steps));
    expect(report.done).toBe(10);
    expect(progress.at(-1)).toBeGreaterThan(progress[0] ?? 0);
    await settle(field);
  });

  it.each(["up", "down"] as const)(
    "a black hole of one direction only, %s, is found and left by both sides",
    async (direction) => {
      // Longer than this process may stand still, so that it is no false alarm that is told first.
      const session = { ...ALERT, silenceMs: 3000 };
      await using field = await arena(51, { client: { session }, server: { session } });
      const { fixture } = field;
      fixture.proxy.set({ [direction]: "blackhole" });
      await fixture.states.entered("detached", 1);
      fixture.proxy.set({ [direction]: LINE });
      await fixture.states.entered("open", 2);
      await fixture.served.entered("detached", 1);
      // Who hears nothing finds out by itself; the other end at the latest when the next transport comes.
      if (direction === "down") expect(fixture.states.causes("detached")[0]).toBe("peer_silent");
      await settle(field);
    },
  );

  it("a replay buffer of a few frames holds it back, and loses nothing either", async () => {
    const session = { ...ALERT, replayLimitBytes: 4096, replayReserveBytes: 4096 };
    await using field = await arena(61, { client: { session }, server: { session } });
    const plan = ChaosPlan.random(61, {
      count: 10,
      kinds: ["rst", "fin", "cutAfter"],
      gapMs: [20, 60],
      forMs: [20, 100],
      cutBytes: [1, 4000],
    });
    await field.fixture.proxy.run(plan);
    await settle(field);
  });
});

describe.each(MODES)("%s: a line that was quiet", (mode) => {
  it.each(["up", "down"] as const)(
    "is cut within each of the first 14 bytes of a frame, %s",
    async (direction) => {
      await using service = await Service.echo();
      await using fixture = await TunnelFixture.start({ seed: 21 });
      const tunnel = await fixture.open(mode, service.address);
      const visitor = await WireEnd.connect(tunnel.address);
      expect(await visitor.ask("hello")).toBe("hello");
      for (let bytes = 1; bytes <= 14; bytes += 1) {
        const { resumes } = fixture;
        // Frames are written whole, so whatever comes next begins one.
        fixture.proxy.cutAfter({ bytes, direction, how: bytes % 2 === 0 ? "rst" : "fin", which: "live" });
        const text = `a text that is cut after ${bytes} bytes of its frame; `.repeat(bytes);
        expect(await visitor.ask(text)).toBe(text);
        await until(() => fixture.resumes > resumes, `the resume after ${bytes} bytes`);
      }
      visitor.socket.end();
      expect(await visitor.closed()).toBe("end");
      expect(fixture.sessions).toBe(1);
      await fixture.quiet();
    },
  );
});

describe.each(MODES)("%s: a handshake that is cut", (mode) => {
  it("20 times in a row makes one session in the end, and the tunnel on one port", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.prepare({ seed: 71 });
    const { proxy, client } = fixture;
    // The upgrade and HELLO are about 440 bytes up, the answer and WELCOME 500 down.
    for (let n = 0; n < 20; n += 1) {
      proxy.cutAfter({
        bytes: 5 + n * 21,
        direction: n % 2 === 0 ? "down" : "up",
        how: n % 3 === 0 ? "fin" : "rst",
      });
    }
    await client.start();
    const tunnel = await fixture.open(mode, service.address);
    const visitor = await WireEnd.connect(tunnel.address);
    expect(await visitor.ask("at last")).toBe("at last");
    visitor.socket.destroy();
    expect(client.stats().dials).toBeGreaterThanOrEqual(21);
    await until(() => fixture.server.sessions().length === 1, "what was half made is gone");
    await fixture.quiet();
  });
});
