import { connect } from "node:net";
import { CONNECT, LISTEN, type Tunnel } from "@culvert/client";
import { parseEndpoint } from "@culvert/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { freeAddress } from "../support/free-port.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { SeededSink } from "../support/seeded-sink.ts";
import { SeededSource } from "../support/seeded-source.ts";
import { Service } from "../support/service.ts";
import { MODES, TunnelFixture } from "../support/tunnel-fixture.ts";
import { endingAt, WireEnd } from "../support/wire-end.ts";

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

async function echoes(tunnel: Tunnel): Promise<void> {
  const visitor = await WireEnd.connect(tunnel.address);
  expect(await visitor.ask(tunnel.name)).toBe(tunnel.name);
  visitor.socket.end();
  expect(await visitor.closed()).toBe("end");
}

it("several tunnels in both directions carry bulk both ways at once", async () => {
  await using service = await Service.echo();
  await using fixture = await TunnelFixture.start();
  await using other = await Service.echo();
  const tunnels: Tunnel[] = [];
  for (const mode of MODES) {
    for (const { address } of [service, other]) tunnels.push(await fixture.open(mode, address));
  }
  const size = 2 * 1024 * 1024;
  await Promise.all(
    tunnels.map(async (tunnel, seed) => {
      const { socket } = await WireEnd.connect(tunnel.address);
      const sink = new SeededSink(socket, seed);
      new SeededSource(socket, seed, size);
      expect(await sink.whole).toBe(size);
    }),
  );
  await fixture.quiet();
});

describe.each(MODES)("%s", (mode) => {
  it("opens and closes while it runs: its port refuses then, and the others carry on", async () => {
    await using first = await Service.echo();
    await using second = await Service.echo();
    await using third = await Service.echo();
    await using fixture = await TunnelFixture.start();
    const [one, two, three] = await Promise.all([
      fixture.open(mode, first.address),
      fixture.open(mode, second.address),
      fixture.open(mode, third.address),
    ]);
    expect(fixture.client.tunnels).toHaveLength(3);
    const others = await Promise.all([WireEnd.connect(one.address), WireEnd.connect(three.address)]);
    const running = await WireEnd.connect(two.address);
    expect(await running.ask("before")).toBe("before");
    const { address } = two;
    await two.close();
    expect(await endingAt(address)).toBe("ECONNREFUSED");
    expect(two).toMatchObject({ state: "closed", address: undefined });
    expect(fixture.client.tunnels).toHaveLength(2);
    // Who was connected stays connected.
    expect(await running.ask("after")).toBe("after");
    for (const other of others) expect(await other.ask("still here")).toBe("still here");
    await echoes(one);
    await echoes(three);
    for (const { socket } of [running, ...others]) socket.destroy();
    await fixture.quiet();
  });

  it("the same tunnel twice is one object and one listener; closed, it can be opened again on its port", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start();
    const { address = "" } = await fixture.open(mode, service.address, await freeAddress());
    await fixture.client.tunnels[0]?.close();
    const [once, twice] = await Promise.all([
      fixture.open(mode, service.address, address),
      fixture.open(mode, service.address, address),
    ]);
    expect(twice).toBe(once);
    expect(await fixture.open(mode, service.address, address.replace("tcp://", ""))).toBe(once);
    expect(fixture.client.tunnels).toEqual([once]);
    expect(once.address).toBe(address);
    expect(
      fixture.clientLog.find({ level: "warn", message: "the same tunnel is already there" }),
    ).toHaveLength(2);
    await echoes(once);
    for (let n = 0; n < 10; n += 1) {
      await fixture.client.tunnels[0]?.close();
      const again = await fixture.open(mode, service.address, address);
      expect(again).not.toBe(once);
      expect(again.state).toBe("ready");
      await echoes(again);
    }
  });

  it("a running transfer outlives the tunnel that it came through", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start();
    const tunnel = await fixture.open(mode, service.address);
    const visitor = await WireEnd.connect(tunnel.address);
    const sink = new SeededSink(visitor.socket, 5);
    const source = new SeededSource(visitor.socket, 5);
    await until(() => sink.received > 100_000, "the transfer runs");
    await fixture.client.closeTunnel(tunnel);
    const before = sink.received;
    await until(() => sink.received > before + 1_000_000, "the transfer goes on");
    source.stop();
    expect(await sink.whole).toBe(await source.done);
    await fixture.quiet();
  });

  it("a listen address that is taken is reported with its reason, and nothing else is hurt", async () => {
    await using service = await Service.echo();
    await using squatter = await Service.start(undefined, await freeAddress());
    await using fixture = await TunnelFixture.start();
    const good = await fixture.open(mode, service.address);
    const opening = fixture.open(mode, service.address, squatter.address);
    if (mode === CONNECT) {
      await expect(opening).rejects.toMatchObject({
        code: "listen_failed",
        cause: { code: "address_in_use" },
      });
      await echoes(good);
      return;
    }
    const tunnel = await opening;
    expect(tunnel).toMatchObject({ state: "failed", address: undefined });
    expect(fixture.clientLog.find({ level: "warn", code: "address_in_use" })).not.toHaveLength(0);
    await echoes(good);
    // It is asked for again, and served as soon as the address is free.
    await squatter[Symbol.asyncDispose]();
    await until(() => tunnel.state === "ready", "the tunnel is ready");
    await echoes(tunnel);
  });

  it("binds the address that it was told, and no other", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start();
    const tunnel = await fixture.open(mode, service.address, "127.0.0.2:0");
    expect(tunnel.address).toMatch(/^tcp:\/\/127\.0\.0\.2:\d+$/);
    await echoes(tunnel);
    const { port } = parseEndpoint(tunnel.address ?? "") as { readonly port: number };
    expect(await endingAt(`127.0.0.1:${port}`)).toBe("ECONNREFUSED");
    const all = await fixture.open(mode, service.address, "0.0.0.0:0");
    const everywhere = parseEndpoint(all.address ?? "") as { readonly port: number };
    for (const host of ["127.0.0.1", "127.0.0.3"]) {
      const visitor = await WireEnd.connect(`${host}:${everywhere.port}`);
      expect(await visitor.ask(host)).toBe(host);
      visitor.socket.destroy();
    }
  });
});

describe.each(MODES)("%s: over a path that is far", (mode) => {
  it("what a new visitor says does not wait for the answer to the open: that is one round trip", async () => {
    await using service = await Service.start();
    await using fixture = await TunnelFixture.start({ seed: 1 });
    const tunnel = await fixture.open(mode, service.address);
    // No answer comes back as long as this lasts.
    const back = mode === CONNECT ? "down" : "up";
    fixture.proxy.set({ [back]: "stall" });
    const visitor = await WireEnd.connect(tunnel.address);
    visitor.socket.write("at once?");
    const target = await service.next();
    expect((await target.read(8)).toString()).toBe("at once?");
    target.socket.write("at once.");
    fixture.proxy.set({ [back]: "pass" });
    expect((await visitor.read(8)).toString()).toBe("at once.");
    visitor.socket.destroy();
  });

  it("the windows grow with it", async () => {
    await using service = await Service.start();
    await using fixture = await TunnelFixture.prepare({ seed: 2 });
    fixture.proxy.set({ up: { delayMs: 50 }, down: { delayMs: 50 } });
    await fixture.client.start();
    const tunnel = await fixture.open(mode, service.address);
    const visitor = await WireEnd.connect(tunnel.address);
    const target = await service.next();
    for (const end of [visitor, target]) end.keepsNothing();
    const ends = [new SeededSource(visitor.socket, 1), new SeededSource(target.socket, 2)];
    const sinks = [new SeededSink(target.socket, 1), new SeededSink(visitor.socket, 2)];
    const windows = (): number[] => [
      fixture.client.stats().session?.link.windowBytes ?? 0,
      fixture.server.sessions()[0]?.link.windowBytes ?? 0,
    ];
    // A window of 256 KiB, the first, would carry 2.5 MB/s here.
    await until(() => windows().every((bytes) => bytes > 1024 * 1024), "both windows have grown");
    for (const source of ends) source.stop();
    for (const [n, sink] of sinks.entries()) expect(await sink.whole).toBe(await ends[n]?.done);
    await fixture.quiet();
  });
});

describe("without ports", () => {
  it("dial gives a stream to a target of the server", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start();
    const stream = fixture.client.dial(service.address);
    const sink = new SeededSink(stream, 6);
    new SeededSource(stream, 6, 3_000_000);
    expect(await sink.whole).toBe(3_000_000);
    await fixture.quiet();
  });

  it("dial of a dead target fails with its code", async () => {
    await using fixture = await TunnelFixture.start();
    const stream = fixture.client.dial("127.0.0.1:1");
    const failure = new Promise((resolve) => stream.once("error", resolve));
    expect(await failure).toMatchObject({ code: "target_refused" });
  });

  it("a LISTEN tunnel hands its streams to a callback, with the visitor's address", async () => {
    await using fixture = await TunnelFixture.start();
    const visitors: (string | undefined)[] = [];
    const tunnel = await fixture.client.openTunnel({
      mode: LISTEN,
      listen: "127.0.0.1:0",
      connect: (stream, info) => {
        visitors.push(info.visitor);
        stream.pipe(stream);
      },
    });
    const visitor = await WireEnd.connect(tunnel.address);
    expect(await visitor.ask("to a callback")).toBe("to a callback");
    expect(visitors).toEqual([`tcp://127.0.0.1:${visitor.socket.localPort}`]);
    visitor.socket.end();
    expect(await visitor.closed()).toBe("end");
    await fixture.quiet();
  });

  it("a callback that throws, and one that destroys, cost one visitor each", async () => {
    await using fixture = await TunnelFixture.start();
    let calls = 0;
    const tunnel = await fixture.client.openTunnel({
      mode: LISTEN,
      listen: "127.0.0.1:0",
      connect: (stream) => {
        calls += 1;
        if (calls === 1) throw new Error("thrown by the callback");
        if (calls === 2) stream.destroy();
        else stream.end("served");
      },
    });
    expect(await endingAt(tunnel.address)).toBe("ECONNRESET");
    expect(await endingAt(tunnel.address)).toBe("ECONNRESET");
    const visitor = await WireEnd.connect(tunnel.address);
    expect(await visitor.ended()).toBe("end");
    expect(visitor.text).toBe("served");
    visitor.socket.destroy();
    await fixture.quiet();
  });
});

it("the server drops a visitor who comes and goes in the same moment, and serves the next one", async () => {
  await using service = await Service.echo();
  await using fixture = await TunnelFixture.start();
  for (const mode of MODES) {
    const tunnel = await fixture.open(mode, service.address);
    const { port } = parseEndpoint(tunnel.address ?? "") as { readonly port: number };
    for (let n = 0; n < 50; n += 1) {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.once("connect", () => (n % 2 === 0 ? socket.resetAndDestroy() : socket.destroy()));
    }
    await echoes(tunnel);
  }
  await fixture.quiet();
});
