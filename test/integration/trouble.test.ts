import { CONNECT } from "@culvert/client";
import type { ServerAddress } from "@culvert/server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { persistently, until } from "../support/deadline.ts";
import { Forked } from "../support/forked.ts";
import { freeAddress } from "../support/free-port.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { SeededSink } from "../support/seeded-sink.ts";
import { SeededSource } from "../support/seeded-source.ts";
import { Service } from "../support/service.ts";
import { MODES, TunnelFixture } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

const MEGABYTE = 1024 * 1024;

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

describe.each(MODES)("%s", (mode) => {
  it("bits that turn over on the way crash nobody, hang nobody, and the next session is well again", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start({ seed: 7 });
    const tunnel = await fixture.open(mode, service.address, await freeAddress());
    const { address } = tunnel;
    // A bit in every 10,000 bytes of a connection: the handshake is well, and no long transfer is.
    fixture.proxy.set({ up: { flipBit: { everyBytes: 10_000 } }, down: { flipBit: { everyBytes: 10_000 } } });
    for (let n = 0; n < 10; n += 1) {
      // Whatever was flipped, the session may be over any moment, and the next one's listener not be there yet.
      const { socket } = await persistently(() => WireEnd.connect(address), "somebody listens");
      const sink = new SeededSink(socket, n);
      new SeededSource(socket, n, MEGABYTE);
      // Plain ws promises no more than this: it ends, one way or the other.
      await sink.whole.catch(() => undefined);
      socket.destroy();
    }
    expect(fixture.proxy.stats().up.bitsFlipped).toBeGreaterThan(0);
    expect(fixture.proxy.stats().down.bitsFlipped).toBeGreaterThan(0);
    fixture.proxy.set({ up: "pass", down: "pass" });
    fixture.proxy.cut({ how: "rst" });
    const visitor = await persistently(async () => {
      const attempt = await WireEnd.connect(address);
      try {
        expect(await attempt.ask("well again")).toBe("well again");
        return attempt;
      } catch (error) {
        attempt.socket.destroy();
        throw error;
      }
    }, "somebody answers");
    expect(tunnel.address).toBe(address);
    visitor.socket.end();
    expect(await visitor.closed()).toBe("end");
    await fixture.quiet();
    expect(fixture.server.stats().sessions).toBe(1);
  });

  it("500 idle connections outlive the link together, and all of them talk afterwards", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start({ seed: 8 });
    const tunnel = await fixture.open(mode, service.address);
    const visitors = await Promise.all(Array.from({ length: 500 }, () => WireEnd.connect(tunnel.address)));
    await Promise.all(visitors.map((visitor, n) => visitor.ask(`${n}`)));
    for (let round = 1; round <= 3; round += 1) {
      await fixture.takeAway();
      // All of them say something while nobody can hear it.
      for (const { socket } of visitors) socket.write("meanwhile ");
      await fixture.restore();
      await Promise.all(visitors.map((visitor, n) => visitor.read(`${n}`.length + round * 10)));
    }
    for (const { socket } of visitors) socket.end();
    expect(new Set(await Promise.all(visitors.map((visitor) => visitor.closed())))).toEqual(new Set(["end"]));
    expect(fixture.sessions).toBe(1);
    expect(service.visitors).toHaveLength(500);
    await fixture.quiet();
  });

  it("a reader that stands still while the link breaks again and again gets everything in the end", async () => {
    await using service = await Service.start();
    await using fixture = await TunnelFixture.start({ seed: 9 });
    const tunnel = await fixture.open(mode, service.address);
    const visitor = await WireEnd.connect(tunnel.address);
    const target = await service.next();
    visitor.socket.pause();
    visitor.keepsNothing();
    const source = new SeededSource(target.socket, 3);
    for (let n = 2; n <= 11; n += 1) {
      await until(() => source.sent > n * 100_000, "more was sent");
      fixture.proxy.cut({ how: n % 2 === 0 ? "rst" : "fin" });
      await fixture.states.entered("open", n);
    }
    const sink = new SeededSink(visitor.socket, 3);
    visitor.socket.resume();
    source.stop();
    expect(await sink.whole).toBe(await source.done);
    expect(fixture.sessions).toBe(1);
    visitor.socket.end();
    await fixture.quiet();
  });

  it("a client that gives up sooner than its server displaces its own old session", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start({ seed: 10, client: { session: { graceMs: 200 } } });
    const tunnel = await fixture.open(mode, service.address, await freeAddress());
    const { address } = tunnel;
    const visitor = await WireEnd.connect(address);
    expect(await visitor.ask("before")).toBe("before");
    await fixture.takeAway();
    await fixture.states.entered("connecting", 2);
    expect(fixture.server.stats()).toMatchObject({ sessions: 1, detached: 1 });
    await fixture.restore();
    await until(() => tunnel.state === "ready", "the tunnel is back");
    expect(await visitor.closed()).toBe("ECONNRESET");
    expect(tunnel.address).toBe(address);
    expect(fixture.server.stats()).toMatchObject({ sessions: 1, attached: 1 });
    const next = await WireEnd.connect(address);
    expect(await next.ask("after")).toBe("after");
    next.socket.destroy();
  });
});

describe("an event loop at rest", () => {
  it("rests: neither an idle link, nor a lost one with visitors waiting, nor a stalled one keeps it busy", async () => {
    await using service = await Service.start();
    await using fixture = await TunnelFixture.prepare({ seed: 11 });
    const { proxy } = fixture;
    const tunnels = MODES.map((mode) => ({ mode, listen: "127.0.0.1:0", connect: service.address }));
    await using client = Forked.start("client-process.ts", {
      server: `ws://127.0.0.1:${proxy.port}`,
      tunnels,
    });
    const addresses = await client.ask<string[]>("start");
    const busyShare = async (): Promise<number> => {
      await client.ask("restart usage");
      const since = performance.now();
      await until(() => performance.now() - since > 700, "a while");
      return await client.ask<number>("usage");
    };
    expect(await busyShare()).toBeLessThan(0.3);
    const ends = await Promise.all(addresses.map((address) => WireEnd.connect(address)));
    for (const { socket } of ends) new SeededSource(socket, 1);
    for (const { socket } of ends) socket.pause();
    await until(() => service.visitors.length === 2, "both are there");
    for (const { socket } of service.visitors) new SeededSource(socket, 2);
    for (const { socket } of service.visitors) socket.pause();
    proxy.pause();
    // Everything is full, and nothing moves.
    await until(() => ends.every(({ socket }) => socket.writableLength > 0), "the visitors are held back");
    expect(await busyShare()).toBeLessThan(0.3);
    proxy.refuse();
    proxy.cut({ how: "rst" });
    const waiting = await WireEnd.connect(addresses[0]);
    expect(await busyShare()).toBeLessThan(0.3);
    for (const { socket } of [...ends, waiting]) socket.destroy();
  });

  it("of a server rests too", async () => {
    await using service = await Service.echo();
    await using server = Forked.start("server-process.ts", { port: 0 });
    const { url } = await server.ask<ServerAddress>("start");
    await using fixture = await TunnelFixture.prepare({ client: { server: url } });
    await fixture.client.start();
    const tunnel = await fixture.open(CONNECT, service.address);
    const visitor = await WireEnd.connect(tunnel.address);
    expect(await visitor.ask("hello")).toBe("hello");
    await server.ask("restart usage");
    const since = performance.now();
    await until(() => performance.now() - since > 700, "a while");
    expect(await server.ask<number>("usage")).toBeLessThan(0.3);
    visitor.socket.destroy();
  });
});
