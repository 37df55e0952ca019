import { Client, CONNECT, LISTEN } from "@culvert/client";
import type { ServerAddress } from "@culvert/server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { Forked } from "../support/forked.ts";
import { freeAddress, freePort } from "../support/free-port.ts";
import { LogRecorder } from "../support/log-recorder.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { Service } from "../support/service.ts";
import { StateWatch } from "../support/state-watch.ts";
import { MODES, QUICK_RETRY } from "../support/tunnel-fixture.ts";
import { endingAt, WireEnd } from "../support/wire-end.ts";

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

async function serverAt(port: number): Promise<Forked> {
  const server = Forked.start("server-process.ts", { port });
  await server.ask<ServerAddress>("start");
  return server;
}

describe("a server that is killed and started again", () => {
  it("resets the old connections with session_lost, and serves the tunnels on their ports again", async () => {
    await using service = await Service.start();
    const port = await freePort();
    await using first = await serverAt(port);
    const log = new LogRecorder();
    const fixed = await freePort();
    await using client = new Client({
      server: `ws://127.0.0.1:${port}`,
      retry: QUICK_RETRY,
      drainMs: 0,
      logger: log.logger,
      tunnels: [
        { mode: CONNECT, listen: "127.0.0.1:0", connect: service.address },
        { mode: LISTEN, listen: "127.0.0.1:0", connect: service.address },
        { mode: LISTEN, listen: `127.0.0.1:${fixed}`, connect: service.address },
      ],
    });
    const states = new StateWatch(client);
    await client.start();
    const addresses = client.tunnels.map(({ address }) => address);
    expect(addresses[2]).toBe(`tcp://127.0.0.1:${fixed}`);
    const old: WireEnd[] = [];
    for (const address of addresses) {
      const visitor = await WireEnd.connect(address);
      const target = await service.next();
      visitor.socket.write("half of something");
      await target.read(17);
      old.push(visitor, target);
    }

    await first.kill();
    await states.entered("detached", 1);
    const waiting = await WireEnd.connect(addresses[0]);
    await using second = await serverAt(port);
    await states.entered("open", 2);
    // Nobody may take these for ended in good order.
    const [connectVisitor, connectTarget, listenVisitor, listenTarget] = old as [
      WireEnd,
      WireEnd,
      WireEnd,
      WireEnd,
    ];
    expect(await connectVisitor.closed()).toBe("ECONNRESET");
    expect(await listenTarget.closed()).toBe("ECONNRESET");
    expect(await waiting.closed()).toBe("ECONNRESET");
    // These sockets were the dead process's own, and its kernel ended them.
    await Promise.all([connectTarget.ended(), listenVisitor.ended()]);
    expect(states.causes("connecting")).toEqual([undefined, "session_lost"]);
    expect(log.find({ message: "visitor reset", code: "session_lost" })).toHaveLength(2);

    await until(() => client.tunnels.every(({ state }) => state === "ready"), "the tunnels are back");
    expect(client.tunnels.map(({ address }) => address)).toEqual(addresses);
    for (const address of addresses) {
      const visitor = await WireEnd.connect(address);
      const target = await service.next();
      target.socket.end("served");
      expect(await visitor.ended()).toBe("end");
      expect(visitor.text).toBe("served");
      visitor.socket.destroy();
    }
    for (const { socket } of old) socket.destroy();
    expect(await second.ask("stats")).toMatchObject({ sessions: 1, attached: 1 });
    expect(client.stats().sessions).toBe(2);
  });

  it("five times in a row", async () => {
    await using service = await Service.echo();
    const port = await freePort();
    const listens = await Promise.all(MODES.map(async (mode) => [mode, await freeAddress()] as const));
    let server = await serverAt(port);
    await using client = new Client({
      server: `ws://127.0.0.1:${port}`,
      retry: QUICK_RETRY,
      drainMs: 0,
      tunnels: listens.map(([mode, listen]) => ({ mode, listen, connect: service.address })),
    });
    const states = new StateWatch(client);
    await client.start();
    const addresses = client.tunnels.map(({ address }) => address);
    for (let n = 2; n <= 6; n += 1) {
      await server.kill();
      server = await serverAt(port);
      await states.entered("open", n);
      await until(() => client.tunnels.every(({ state }) => state === "ready"), "the tunnels are back");
      expect(client.tunnels.map(({ address }) => address)).toEqual(addresses);
      for (const address of addresses) {
        const visitor = await WireEnd.connect(address);
        expect(await visitor.ask(`life ${n}`)).toBe(`life ${n}`);
        visitor.socket.destroy();
      }
    }
    await server.kill();
  });

  it("frozen and woken within the grace, it goes on with the same connections", async () => {
    await using service = await Service.echo();
    const session = { pingIntervalMs: 200, silenceMs: 2000 };
    await using server = Forked.start("server-process.ts", { port: 0, session });
    const { url } = await server.ask<ServerAddress>("start");
    const listen = "127.0.0.1:0";
    await using client = new Client({
      server: url,
      session,
      retry: { ...QUICK_RETRY, connectTimeoutMs: 2000 },
      drainMs: 0,
      tunnels: MODES.map((mode) => ({ mode, listen, connect: service.address })),
    });
    const states = new StateWatch(client);
    await client.start();
    const visitors = await Promise.all(client.tunnels.map(({ address }) => WireEnd.connect(address)));
    for (const visitor of visitors) expect(await visitor.ask("before")).toBe("before");
    server.signal("SIGSTOP");
    await states.entered("detached", 1);
    expect(states.causes("detached")).toEqual(["peer_silent"]);
    visitors[0]?.socket.write("meanwhile");
    server.signal("SIGCONT");
    await states.reaches("open");
    await visitors[0]?.read(15);
    for (const visitor of visitors) {
      expect(await visitor.ask("after")).toBe("after");
      visitor.socket.destroy();
    }
    expect(client.stats().sessions).toBe(1);
  });
});

describe("a server that is closed in good order", () => {
  it("tells its clients, which come back when there is another one", async () => {
    await using service = await Service.echo();
    const port = await freePort();
    const listens = await Promise.all(MODES.map(async (mode) => [mode, await freeAddress()] as const));
    await using first = await serverAt(port);
    await using client = new Client({
      server: `ws://127.0.0.1:${port}`,
      retry: QUICK_RETRY,
      drainMs: 0,
      tunnels: listens.map(([mode, listen]) => ({ mode, listen, connect: service.address })),
    });
    const states = new StateWatch(client);
    await client.start();
    const addresses = client.tunnels.map(({ address }) => address);
    const visitor = await WireEnd.connect(addresses[0]);
    expect(await visitor.ask("hello")).toBe("hello");
    await first.ask("close");
    expect(await first.endsByItself()).toBe("0");
    expect(await visitor.closed()).toBe("ECONNRESET");
    await states.entered("connecting", 2);
    expect(states.causes("connecting")).toEqual([undefined, "shutting_down"]);
    expect(await endingAt(addresses[0])).toBe("ECONNRESET");
    expect(await endingAt(addresses[1])).toBe("ECONNREFUSED");
    await using _second = await serverAt(port);
    await states.entered("open", 2);
    await until(() => client.tunnels.every(({ state }) => state === "ready"), "the tunnels are back");
    expect(client.tunnels.map(({ address }) => address)).toEqual(addresses);
  });
});
