import { Client, LISTEN } from "@culvert/client";
import type { ServerAddress } from "@culvert/server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { Forked } from "../support/forked.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { SeededSink } from "../support/seeded-sink.ts";
import { SeededSource } from "../support/seeded-source.ts";
import { Service } from "../support/service.ts";
import { StateWatch } from "../support/state-watch.ts";
import { MODES, QUICK_RETRY, TunnelFixture, urlOf } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

/** Both ends share this process, and it may stand still for a second: that is no silence. */
const ALERT = { pingIntervalMs: 100, silenceMs: 2000 };
const CALM = { pingIntervalMs: 200, silenceMs: 3000 };
/** For event loops that stand still, a little longer than the time-out and much longer. */
const STANDSTILLS = [3300, 5000];

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

/** A false alarm would come within this: a time that has to pass, and not one that should be enough. */
async function twiceTheTimeout(): Promise<void> {
  const since = performance.now();
  await until(() => performance.now() - since > 2 * CALM.silenceMs, "twice the time-out is over");
}

describe("silence", () => {
  it("without any traffic is found by both sides, each by itself and not before its time", async () => {
    await using fixture = await TunnelFixture.start({
      seed: 1,
      client: { session: ALERT },
      server: { session: ALERT },
    });
    const since = performance.now();
    fixture.proxy.pause();
    await fixture.states.entered("detached", 1);
    // What was heard last may be older than the pause. To the millisecond it is shown where time is an argument.
    expect(performance.now() - since).toBeGreaterThan(ALERT.silenceMs / 2);
    await fixture.served.entered("detached", 1);
    expect(fixture.states.causes("detached")).toEqual(["peer_silent"]);
    expect(fixture.served.causes("detached")).toEqual(["peer_silent"]);
    fixture.proxy.resume();
    await fixture.states.reaches("open");
    expect(fixture.sessions).toBe(1);
  });

  it("that ends in time is not even noticed", async () => {
    const patient = { pingIntervalMs: 50, silenceMs: 5000 };
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start({
      seed: 2,
      client: { session: patient },
      server: { session: patient },
    });
    const visitors = await Promise.all(
      MODES.map(async (mode) => WireEnd.connect((await fixture.open(mode, service.address)).address)),
    );
    fixture.proxy.pause();
    for (const { socket } of visitors) socket.write("into the silence");
    await until(
      () => (fixture.client.stats().session?.link.inFlightBytes ?? 0) > 0,
      "something is under way",
    );
    fixture.proxy.resume();
    for (const visitor of visitors) {
      await visitor.read(16);
      visitor.socket.destroy();
    }
    expect(fixture.states.path).toEqual(["connecting", "open"]);
  });

  it("of a client that is frozen is found by the server; woken, it goes on with its connections", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.prepare({ server: { session: ALERT } });
    const { server } = fixture;
    const tunnels = [{ mode: LISTEN, listen: "127.0.0.1:0", connect: service.address }];
    await using frozen = Forked.start("client-process.ts", {
      server: urlOf(server),
      retry: QUICK_RETRY,
      tunnels,
    });
    const [address] = await frozen.ask<string[]>("start");
    const visitor = await WireEnd.connect(address);
    expect(await visitor.ask("before")).toBe("before");
    frozen.signal("SIGSTOP");
    await fixture.served.entered("detached", 1);
    expect(fixture.served.causes("detached")).toEqual(["peer_silent"]);
    visitor.socket.write("meanwhile ");
    frozen.signal("SIGCONT");
    await visitor.read(16);
    expect(await visitor.ask("after")).toBe("after");
    expect(await frozen.ask("stats")).toMatchObject({ sessions: 1 });
    visitor.socket.destroy();
  });
});

describe("no false alarm", () => {
  it("on an idle link, for twice the time-out", async () => {
    await using fixture = await TunnelFixture.start({
      seed: 3,
      client: { session: CALM },
      server: { session: CALM },
    });
    const received = (): number => fixture.client.stats().session?.link.framesReceived ?? 0;
    const before = received();
    await twiceTheTimeout();
    // Pings of both sides and their pongs, nothing else.
    await until(() => received() > before + 30, "30 frames of keepalive");
    expect(fixture.states.path).toEqual(["connecting", "open"]);
    expect(fixture.client.stats().session?.link.rttMs).toBeGreaterThan(0);
    expect(fixture.server.sessions()[0]?.link.rttMs).toBeGreaterThan(0);
  });

  it.each([
    ["as fast as it goes", "pass"],
    ["over a slow line whose queues are full", { bytesPerSecond: 2_000_000 }],
    ["over a line that is far", { delayMs: 100, jitterMs: 50, bytesPerSecond: 5_000_000 }],
    ["in pieces of a few bytes", { slice: { maxBytes: 20_000, minBytes: 1 } }],
  ] as const)("on a busy link, %s", async (_name, fault) => {
    await using service = await Service.start();
    const session = CALM;
    await using fixture = await TunnelFixture.prepare({ seed: 4, client: { session }, server: { session } });
    fixture.proxy.set({ up: fault, down: fault });
    await fixture.client.start();
    const sinks: SeededSink[] = [];
    for (const mode of MODES) {
      const tunnel = await fixture.open(mode, service.address);
      const ends = [await WireEnd.connect(tunnel.address), await service.next()];
      for (const [n, end] of ends.entries()) {
        end.keepsNothing();
        new SeededSource(end.socket, n);
        sinks.push(new SeededSink(end.socket, 1 - n));
      }
    }
    await twiceTheTimeout();
    await until(() => sinks.every(({ received }) => received > 100_000), "each direction got its share");
    // First with what it was, if it was something.
    expect(fixture.states.causes("connecting")).toEqual([undefined]);
    expect(fixture.states.path).toEqual(["connecting", "open"]);
    expect(fixture.resumes).toBe(0);
    for (const { socket } of service.visitors) socket.destroy();
  });

  it("on a side whose event loop stood still for longer than its time-out, be it client or server", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.prepare();
    const tunnels = [{ mode: LISTEN, listen: "127.0.0.1:0", connect: service.address }];
    const options = { server: urlOf(fixture.server), session: CALM, tunnels };
    await using blockedClient = Forked.start("client-process.ts", options);
    const [address] = await blockedClient.ask<string[]>("start");
    const visitor = await WireEnd.connect(address);
    await using blockedServer = Forked.start("server-process.ts", { port: 0, session: CALM });
    const { url } = await blockedServer.ask<ServerAddress>("start");
    await using client = new Client({ server: url, drainMs: 0 });
    const states = new StateWatch(client);
    await client.start();
    for (const ms of STANDSTILLS) {
      const text = `while they stand still for ${ms} ms`;
      const standing = [blockedClient, blockedServer].map((process) => process.ask("block", ms));
      expect(await visitor.ask(text)).toBe(text);
      await Promise.all(standing);
    }
    for (const process of [blockedClient, blockedServer])
      expect(await process.ask("detachments")).toEqual([]);
    expect(await blockedClient.ask("stats")).toMatchObject({ dials: 1 });
    expect(await blockedServer.ask("stats")).toMatchObject({ attached: 1, transports: 1 });
    expect(states.path).toEqual(["connecting", "open"]);
    visitor.socket.destroy();
  });
});
