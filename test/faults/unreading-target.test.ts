import { CONNECT, LISTEN } from "@culvert/client";
import { expect, it } from "vitest";
import { Forked } from "../support/forked.ts";
import { atRest } from "../support/load-at-rest.ts";
import type { Holdings } from "../support/load-process.ts";
import { SeededSink } from "../support/seeded-sink.ts";
import { SeededSource } from "../support/seeded-source.ts";
import { Service } from "../support/service.ts";
import { stillValue } from "../support/stillness.ts";
import { WireEnd } from "../support/wire-end.ts";

const MEGABYTE = 1024 * 1024;
const VISITORS = 10;
/** Both ends of a session at their worst: a quarter of the budget for the first stream, less for each further one. */
const BUDGET_BYTES = 2 * (64 + 17 + 2) * MEGABYTE;

it("targets that accept and never read hold back their visitors, cost bounded memory, and leave nothing", {
  timeout: 120_000,
}, async () => {
  await using unread = await Service.start(({ socket }) => socket.pause());
  await using echo = await Service.echo();
  await using load = Forked.start("load-process.ts", {});
  const addresses = await load.ask<string[]>("start", [
    { mode: CONNECT, target: unread.address },
    { mode: LISTEN, target: unread.address },
    { mode: CONNECT, target: echo.address },
    { mode: LISTEN, target: echo.address },
  ]);
  const stuck = addresses.slice(0, 2);
  const beside = addresses.slice(2);
  // Once through everything, so that what is made at the first use counts as there before.
  for (const address of beside) {
    const visitor = await WireEnd.connect(address);
    expect(await visitor.ask("before")).toBe("before");
    visitor.socket.destroy();
  }
  const before = await atRest(load);

  const pairs: { readonly visitor: WireEnd; readonly target: WireEnd }[] = [];
  for (const address of stuck) {
    for (let n = 0; n < VISITORS; n += 1) {
      const visitor = await WireEnd.connect(address);
      pairs.push({ visitor, target: await unread.next() });
    }
  }
  for (const { target } of pairs) target.keepsNothing();
  const sources = pairs.map(({ visitor }, seed) => new SeededSource(visitor.socket, seed));
  const sent = await stillValue(() => sources.reduce((sum, source) => sum + source.sent, 0), 10);
  const during = await load.ask<Holdings>("holdings");
  const heldMiB = (during.memory - before.memory) / MEGABYTE;
  console.log(
    `${2 * VISITORS} unread connections: ${sent} bytes sent, ${heldMiB.toFixed(1)} MiB held by both sides`,
  );
  expect(during.memory - before.memory).toBeLessThan(BUDGET_BYTES);
  for (const address of beside) {
    const visitor = await WireEnd.connect(address);
    expect(await visitor.ask("meanwhile")).toBe("meanwhile");
    visitor.socket.destroy();
  }

  // Half of them read in the end and miss nothing; the others die unread, and their visitors hear of it.
  const transfers = pairs.map(({ visitor, target }, seed) => ({
    visitor,
    target,
    seed,
    source: sources[seed],
  }));
  for (const { visitor, target, seed, source } of transfers) {
    if (seed % 2 === 0) {
      target.reset();
      expect(["ECONNRESET", "EPIPE"]).toContain(await visitor.closed());
      continue;
    }
    const sink = new SeededSink(target.socket, seed);
    source?.stop();
    target.socket.resume();
    expect(await sink.whole).toBe(await source?.done);
    target.socket.end();
    expect(await visitor.closed()).toBe("end");
  }
  const after = await atRest(load, before);
  expect(after.memory - before.memory).toBeLessThan(16 * MEGABYTE);
  await load.ask("close");
});
