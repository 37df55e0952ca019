import { LISTEN } from "@culvert/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { Forked } from "../support/forked.ts";
import type { Holdings } from "../support/load-process.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { SeededSink } from "../support/seeded-sink.ts";
import { SeededSource } from "../support/seeded-source.ts";
import { Service } from "../support/service.ts";
import { stillValue } from "../support/stillness.ts";
import { MODES, TunnelFixture } from "../support/tunnel-fixture.ts";
import { endingAt, WireEnd } from "../support/wire-end.ts";

const MEGABYTE = 1024 * 1024;

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

/** The windows, and what four sockets' kernel buffers take. */
const MOST_HELD = 64 * MEGABYTE;

const ENDS = [
  ["visitor", "target"],
  ["target", "visitor"],
] as const;

describe.each(MODES)("%s: a reader that stands still", (mode) => {
  it.each(ENDS)(
    "the %s holds back the %s, delays nobody beside it, and loses nothing",
    async (reads, sends) => {
      await using service = await Service.start();
      await using echo = await Service.echo();
      await using fixture = await TunnelFixture.start();
      const stalled = await fixture.open(mode, service.address);
      const beside = await fixture.open(mode, echo.address);
      const visitor = await WireEnd.connect(stalled.address);
      const ends = { visitor, target: await service.next() };
      ends[reads].socket.pause();
      ends[reads].keepsNothing();
      const source = new SeededSource(ends[sends].socket, 1);
      expect(await stillValue(() => source.sent)).toBeLessThan(MOST_HELD);
      await Promise.all(
        Array.from({ length: 50 }, async (_, n) => {
          const other = await WireEnd.connect(beside.address);
          for (let m = 0; m < 5; m += 1) expect(await other.ask(`${n}: ${m}`)).toBe(`${n}: ${m}`);
          other.socket.end();
          expect(await other.closed()).toBe("end");
        }),
      );
      const held = source.sent;
      expect(held).toBeLessThan(MOST_HELD);
      const sink = new SeededSink(ends[reads].socket, 1);
      ends[reads].socket.resume();
      await until(() => source.sent > held + MEGABYTE, "it goes on");
      source.stop();
      expect(await sink.whole).toBe(await source.done);
      ends[reads].socket.end();
      await fixture.quiet();
    },
  );

  it.each(ENDS)("before the %s reads on, the %s may break: the reader hears of it", async (reads, sends) => {
    await using service = await Service.start();
    await using fixture = await TunnelFixture.start();
    const tunnel = await fixture.open(mode, service.address);
    const visitor = await WireEnd.connect(tunnel.address);
    const ends = { visitor, target: await service.next() };
    ends[reads].socket.pause();
    ends[reads].keepsNothing();
    const source = new SeededSource(ends[sends].socket, 1);
    await stillValue(() => source.sent);
    ends[sends].reset();
    // Nobody reads the sender's socket, and nobody writes to it.
    await fixture.quiet();
    ends[reads].socket.resume();
    expect(await ends[reads].closed()).toBe("ECONNRESET");
  });

  it("twenty of them hold their own bytes only, and a reset lets go of everything", async () => {
    await using service = await Service.start();
    await using echo = await Service.echo();
    await using fixture = await TunnelFixture.start();
    const stalled = await fixture.open(mode, service.address);
    const beside = await fixture.open(mode, echo.address);
    const visitors = await Promise.all(Array.from({ length: 20 }, () => WireEnd.connect(stalled.address)));
    await until(() => service.visitors.length === 20, "all are connected");
    const sources = service.visitors.map(({ socket }, n) => new SeededSource(socket, n));
    for (const { socket } of visitors) socket.pause();
    await stillValue(() => sources.reduce((sum, { sent }) => sum + sent, 0));
    const other = await WireEnd.connect(beside.address);
    expect(await other.ask("is there room?")).toBe("is there room?");
    for (const visitor of visitors) visitor.reset();
    await Promise.all(sources.map(({ done }) => expect(done).rejects.toThrow()));
    other.socket.destroy();
    await fixture.quiet();
    expect(fixture.client.stats().session?.link.windowBytes).toBe(0);
    expect(fixture.server.sessions()[0]?.link.windowBytes).toBe(0);
  });
});

describe("tiny frames", () => {
  it("behind a reader that stands still pin no memory", async () => {
    await using service = await Service.start();
    await using load = Forked.start("load-process.ts", {});
    const addresses = await load.ask<string[]>(
      "start",
      MODES.map((mode) => ({ mode, target: service.address })),
    );
    const before = await load.ask<Holdings>("holdings");
    const visitors: WireEnd[] = [];
    const written: number[] = [];
    for (const address of addresses) {
      const visitor = await WireEnd.connect(address);
      const target = await service.next();
      visitor.socket.pause();
      visitors.push(visitor);
      // Each byte a write and a packet of its own, as long as somebody takes them.
      let count = 0;
      const write = (): void => {
        for (let n = 0; n < 100 && count < 200_000; n += 1) {
          count += 1;
          if (!target.socket.write("x")) break;
        }
        if (count < 200_000 && !target.socket.destroyed) setImmediate(write);
        else written.push(count);
      };
      write();
    }
    await until(() => written.length === visitors.length, "everything was written", 50_000);
    const during = await load.ask<Holdings>("holdings");
    expect(during.memory - before.memory).toBeLessThan(32 * MEGABYTE);
    for (const visitor of visitors) {
      visitor.socket.resume();
      await visitor.read(200_000);
      visitor.socket.destroy();
    }
  });
});

describe.each(MODES)("%s: windows and limits as small as can be", (mode) => {
  it.each([
    ["a window of one byte", { initialWindowBytes: 1, firstWindowBytes: 1, maxWindowBytes: 1 }],
    ["no budget beyond the initial windows", { initialWindowBytes: 100, receiveBudgetBytes: 0 }],
    [
      "a replay buffer of a few frames",
      { replayLimitBytes: 1024, replayReserveBytes: 2048, maxPayloadBytes: 1 },
    ],
  ] as const)("%s: everything arrives, both ways", async (_name, session) => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start({ client: { session }, server: { session } });
    const tunnel = await fixture.open(mode, service.address);
    const { socket } = await WireEnd.connect(tunnel.address);
    const sink = new SeededSink(socket, 9);
    new SeededSource(socket, 9, 3000);
    expect(await sink.whole).toBe(3000);
    await fixture.quiet();
  });

  it("more connections than maxStreams wait for their turn", async () => {
    await using service = await Service.start();
    const session = { maxStreams: 4 };
    const side = mode === LISTEN ? { client: { session } } : { server: { session } };
    await using fixture = await TunnelFixture.start(side);
    const tunnel = await fixture.open(mode, service.address);
    const visitors = await Promise.all(Array.from({ length: 10 }, () => WireEnd.connect(tunnel.address)));
    for (let n = 0; n < 10; n += 1) {
      const target = await service.next();
      expect(service.open).toBeLessThanOrEqual(4);
      target.socket.end(`number ${n}`);
      for (const { socket } of visitors) socket.end();
      expect(await target.closed()).toBe("end");
    }
    expect(await Promise.all(visitors.map((visitor) => visitor.closed()))).toEqual(visitors.map(() => "end"));
    expect(visitors.map(({ text }) => text).sort()).toEqual(visitors.map((_, n) => `number ${n}`));
    await fixture.quiet();
  });

  it("who would wait for longer than visitorWaitMs is turned away, and the others stay", async () => {
    await using service = await Service.echo();
    const session = { maxStreams: 2, visitorWaitMs: 300 };
    await using fixture = await TunnelFixture.start({ client: { session }, server: { session } });
    const tunnel = await fixture.open(mode, service.address);
    const served = [await WireEnd.connect(tunnel.address), await WireEnd.connect(tunnel.address)];
    for (const visitor of served) expect(await visitor.ask("served")).toBe("served");
    expect(await endingAt(tunnel.address)).toBe("ECONNRESET");
    for (const visitor of served) {
      expect(await visitor.ask("still")).toBe("still");
      visitor.socket.destroy();
    }
    await fixture.quiet();
  });
});
