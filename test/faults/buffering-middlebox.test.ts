import type { Shape } from "@culvert/chaos";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OpenHandles } from "../support/open-handles.ts";
import { Service } from "../support/service.ts";
import { MODES, TunnelFixture } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";
import { IS_FULL_LENGTH, patienceFor, SCALED_RETRY, SCALED_SESSION, scaled } from "./support/scale.ts";
import { StandingLoad } from "./support/standing-load.ts";

const TURNS = IS_FULL_LENGTH ? 20 : 3;

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

function start(seed: number): Promise<TunnelFixture> {
  const session = SCALED_SESSION;
  return TunnelFixture.start({ seed, server: { session }, client: { session, retry: SCALED_RETRY } });
}

const LINE = { bytesPerSecond: 10_000_000 };
const SHAPES: readonly (readonly [name: string, shape: Shape])[] = [
  ["holds everything back for up to 5 s", { ...LINE, delayMs: scaled(2500), jitterMs: scaled(2500) }],
  ["gathers for 5 s and lets go at once", { ...LINE, coalesceMs: scaled(5000) }],
  [
    "holds back, and cuts into small pieces",
    { slice: { maxBytes: 4000, minBytes: 1 }, delayMs: scaled(1000) },
  ],
];

describe("a middlebox that", () => {
  it.each(SHAPES)("%s: is nothing but slow", { timeout: 300_000 }, async (_name, shape) => {
    await using fixture = await start(14);
    fixture.proxy.set({ up: LINE, down: LINE });
    await using load = await StandingLoad.start((mode, connect) => fixture.open(mode, connect), 14);
    fixture.proxy.set({ up: shape, down: shape });
    for (let turn = 0; turn < TURNS; turn += 1) await load.moves(patienceFor(60_000));
    console.log(`slowest echo ${load.slowestEchoMs} ms`);
    await load.settle(patienceFor(60_000));
    expect(fixture.states.path).toEqual(["connecting", "open"]);
    expect(fixture.resumes).toBe(0);
    await fixture.quiet();
  });

  it("passes single bytes: frames are put together again", async () => {
    await using service = await Service.echo();
    await using fixture = await start(15);
    const byte = { slice: { maxBytes: 1 } };
    fixture.proxy.set({ up: byte, down: byte });
    for (const mode of MODES) {
      const visitor = await WireEnd.connect((await fixture.open(mode, service.address)).address);
      for (const length of [1, 100, 5000]) {
        const text = Array.from({ length }, (_, n) => n % 10).join("");
        expect(await visitor.ask(text)).toBe(text);
      }
      visitor.socket.end();
      expect(await visitor.closed()).toBe("end");
    }
    expect(fixture.states.path).toEqual(["connecting", "open"]);
    await fixture.quiet();
  });
});
