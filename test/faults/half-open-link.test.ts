import { LISTEN, type Mode, type Tunnel } from "@culvert/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { freeAddress } from "../support/free-port.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { TunnelFixture } from "../support/tunnel-fixture.ts";
import { endingAt, WireEnd } from "../support/wire-end.ts";
import { patienceFor, SCALED_RETRY, SCALED_SESSION, scaled } from "./support/scale.ts";
import { StandingLoad } from "./support/standing-load.ts";

/** Always more to send than the line takes, and the machine is not busy with sending only. */
const LINE = { bytesPerSecond: 10_000_000 };

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

interface Field extends AsyncDisposable {
  readonly fixture: TunnelFixture;
  readonly load: StandingLoad;
}

async function field(seed: number): Promise<Field> {
  const session = SCALED_SESSION;
  const fixture = await TunnelFixture.start({
    seed,
    server: { session },
    client: { session, retry: SCALED_RETRY },
  });
  fixture.proxy.set({ up: LINE, down: LINE });
  const open = async (mode: Mode, connect: string): Promise<Tunnel> =>
    await fixture.open(mode, connect, await freeAddress());
  const load = await StandingLoad.start(open, seed);
  const close = async (): Promise<void> => {
    await load[Symbol.asyncDispose]();
    await fixture[Symbol.asyncDispose]();
  };
  return { fixture, load, [Symbol.asyncDispose]: close };
}

/** Resolves when both sides have given up their first transport. */
async function bothNotice({ states, served }: TunnelFixture, patienceMs: number): Promise<void> {
  await states.entered("detached", 1, patienceMs);
  await served.entered("detached", 1, patienceMs);
}

describe("a link that is silent both ways", () => {
  it("for 10 s is not even missed: connections wait and go on", { timeout: 120_000 }, async () => {
    await using ground = await field(1);
    const { fixture, load } = ground;
    // Nobody reads, nobody writes, nobody ends: what a link looks like whose packets get lost.
    await fixture.proxy.run([{ kind: "stall", gapMs: 0, forMs: scaled(10_000), direction: "both" }]);
    await load.moves();
    await load.settle();
    expect(fixture.states.path).toEqual(["connecting", "open"]);
    expect(fixture.served.path).toEqual(["attached"]);
    expect(fixture.resumes).toBe(0);
    await fixture.quiet();
  });

  it("for too long is found dead by both sides, each by itself, and resumed", {
    timeout: 180_000,
  }, async () => {
    await using ground = await field(2);
    const { fixture, load } = ground;
    fixture.proxy.pause();
    await bothNotice(fixture, patienceFor(60_000));
    // Each by its own clock: the hole lets nothing through that could have told one of the other.
    expect(fixture.states.causes("detached")).toEqual(["peer_silent"]);
    expect(fixture.served.causes("detached")).toEqual(["peer_silent"]);
    fixture.proxy.resume();
    const healedAt = performance.now();
    await load.moves(patienceFor(20_000));
    console.log(`every connection went on ${Math.round(performance.now() - healedAt)} ms after the hole`);
    await load.settle();
    expect(fixture.sessions).toBe(1);
    expect(fixture.server.sessions()).toHaveLength(1);
    await fixture.quiet();
  });

  it("past the grace resets every connection, frees the ports, and gives them back", {
    timeout: 300_000,
  }, async () => {
    await using ground = await field(3);
    const { fixture, load } = ground;
    const addresses = load.tunnels.map(({ address }) => address);
    fixture.proxy.pause();
    await load.isReset(patienceFor(170_000));
    await until(
      () => fixture.server.sessions().length === 0,
      "the server has forgotten",
      patienceFor(25_000),
    );
    for (const [n, { mode }] of load.tunnels.entries()) {
      expect(await endingAt(addresses[n])).toBe(mode === LISTEN ? "ECONNREFUSED" : "ECONNRESET");
    }
    fixture.proxy.resume();
    const healedAt = performance.now();
    await until(
      () => load.tunnels.every(({ state }) => state === "ready"),
      "the tunnels are back",
      patienceFor(20_000),
    );
    console.log(`the tunnels were back ${Math.round(performance.now() - healedAt)} ms after the hole`);
    expect(load.tunnels.map(({ address }) => address)).toEqual(addresses);
    expect(fixture.sessions).toBe(2);
    for (const address of addresses) {
      const visitor = await WireEnd.connect(address);
      visitor.reset();
    }
    await fixture.quiet();
    expect(fixture.server.stats()).toMatchObject({ sessions: 1, attached: 1 });
  });
});

describe.each(["up", "down"] as const)("a link that is silent one way only, %s", (direction) => {
  it("is given up by both sides, and resumed when it is whole again", { timeout: 180_000 }, async () => {
    await using ground = await field(4);
    const { fixture, load } = ground;
    fixture.proxy.set({ [direction]: "blackhole" });
    await bothNotice(fixture, patienceFor(35_000 + 30_000));
    // Who hears nothing finds out by itself, and the other one by that: no side goes on alone.
    const first =
      direction === "down" ? fixture.states.causes("detached") : fixture.served.causes("detached");
    expect(first[0]).toBe("peer_silent");
    fixture.proxy.set({ [direction]: LINE });
    await load.moves(patienceFor(20_000));
    await load.settle();
    expect(fixture.sessions).toBe(1);
    await fixture.quiet();
  });
});
