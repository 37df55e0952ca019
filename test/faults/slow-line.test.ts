import type { Shape } from "@culvert/chaos";
import { CONNECT, LISTEN } from "@culvert/client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { soon, until } from "../support/deadline.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { SeededSink } from "../support/seeded-sink.ts";
import { SeededSource } from "../support/seeded-source.ts";
import { Service } from "../support/service.ts";
import { TunnelFixture } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";
import { IS_FULL_LENGTH } from "./support/scale.ts";

/** 256 kbit/s. */
const NARROW = { bytesPerSecond: 32_000 };
const FAR = { bytesPerSecond: 5_000_000, delayMs: 200, jitterMs: 100 };
/** Long enough to fill what is between, both ways. */
const NARROW_BYTES = IS_FULL_LENGTH ? 4_000_000 : 120_000;
const FAR_BYTES = IS_FULL_LENGTH ? 60_000_000 : 3_000_000;
/** Shorter than what is taken for death. */
const NOTHING_MS = IS_FULL_LENGTH ? 15_000 : 2000;
const PATIENCE_MS = IS_FULL_LENGTH ? 400_000 : 60_000;

// The tests wait side by side, so what is left over can only be looked for when all are done.
let handles: OpenHandles;
beforeAll(() => {
  handles = new OpenHandles();
});
afterAll(() => handles.gone());

/** A fixture with defaults whose line was like that from the beginning: what it learns of the path is true. */
async function over(seed: number, line: Shape): Promise<TunnelFixture> {
  const fixture = await TunnelFixture.prepare({ seed });
  fixture.proxy.set({ up: line, down: line });
  await fixture.client.start();
  await until(() => fixture.client.stats().session?.link.rttMs !== undefined, "the session is proven");
  return fixture;
}

interface Bulk {
  readonly arrived: () => number;
  /** Resolves when all of it came back, each byte once and in order, with the end. */
  readonly whole: Promise<number>;
}

describe.concurrent("a line that is", () => {
  /** So many bytes to an echo and back, so both directions are full. */
  async function bulk(address: string | undefined, seed: number, bytes: number): Promise<Bulk> {
    const { socket } = await WireEnd.connect(address);
    const sink = new SeededSink(socket, seed);
    new SeededSource(socket, seed, bytes);
    return { arrived: () => sink.received, whole: soon(sink.whole, "all of it comes back", PATIENCE_MS) };
  }

  it("narrow, 256 kbit/s, then passes nothing, then again: nobody is taken for dead", {
    timeout: 2 * PATIENCE_MS,
  }, async () => {
    await using service = await Service.echo();
    await using fixture = await over(17, NARROW);
    const [wide, beside] = [
      await fixture.open(CONNECT, service.address),
      await fixture.open(LISTEN, service.address),
    ];
    const { arrived, whole } = await bulk(wide.address, 17, NARROW_BYTES);
    const visitor = await WireEnd.connect(beside.address);
    const echoes: number[] = [];
    let isOver = false;
    const asking = (async () => {
      while (!isOver) {
        const since = performance.now();
        visitor.socket.write("beside the bulk?");
        await until(() => visitor.received === 16 * (echoes.length + 1), "an echo beside it", PATIENCE_MS);
        echoes.push(Math.round(performance.now() - since));
      }
    })();
    await until(() => arrived() > NARROW_BYTES / 4, "a part of it", PATIENCE_MS);
    await fixture.proxy.run([{ kind: "stall", gapMs: 0, forMs: NOTHING_MS, direction: "both" }]);
    expect(await whole).toBe(NARROW_BYTES);
    isOver = true;
    await asking;
    console.log(`256 kbit/s: echoes took ${echoes.join(", ")} ms beside ${NARROW_BYTES} bytes`);
    visitor.socket.destroy();
    expect(fixture.states.path).toEqual(["connecting", "open"]);
    await fixture.quiet();
  });

  it("far and uneven, 200 ms and up to 100 ms more or less: nobody is taken for dead", {
    timeout: 2 * PATIENCE_MS,
  }, async () => {
    await using service = await Service.echo();
    await using fixture = await over(16, FAR);
    const tunnels = [
      await fixture.open(CONNECT, service.address),
      await fixture.open(LISTEN, service.address),
    ];
    const bulks = await Promise.all(tunnels.map(({ address }, n) => bulk(address, n, FAR_BYTES)));
    for (const { whole } of bulks) expect(await whole).toBe(FAR_BYTES);
    expect(fixture.states.path).toEqual(["connecting", "open"]);
    await fixture.quiet();
  });
});
