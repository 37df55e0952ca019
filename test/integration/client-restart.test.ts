import { Client, type ClientOptions, LISTEN } from "@culvert/client";
import type { Server } from "@culvert/server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { Forked } from "../support/forked.ts";
import { freePort } from "../support/free-port.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { Service } from "../support/service.ts";
import { StateWatch } from "../support/state-watch.ts";
import { QUICK_RETRY, TunnelFixture, urlOf } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

/** A client with one LISTEN tunnel on that port. */
function optionsOf(server: Server, name: string, port: number, connect: string): ClientOptions {
  const listen = `127.0.0.1:${port}`;
  return {
    server: urlOf(server),
    name,
    retry: QUICK_RETRY,
    drainMs: 0,
    tunnels: [{ mode: LISTEN, listen, connect }],
  };
}

async function echoesAt(port: number): Promise<void> {
  const visitor = await WireEnd.connect(`127.0.0.1:${port}`);
  expect(await visitor.ask("who is it?")).toBe("who is it?");
  visitor.socket.destroy();
}

describe("a client that is killed and started again", () => {
  it("has its port again at once, before anybody missed the old one", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.prepare();
    const { server } = fixture;
    const port = await freePort();
    const options = optionsOf(server, "restarted", port, service.address);
    await using first = Forked.start("client-process.ts", options);
    expect(await first.ask("start")).toEqual([`tcp://127.0.0.1:${port}`]);
    const visitor = await WireEnd.connect(`127.0.0.1:${port}`);
    expect(await visitor.ask("half of")).toBe("half of");
    await first.kill();
    // Its kernel told the server at once; the session is kept, and with it the port and the visitor.
    await until(() => server.stats().detached === 1, "the old session is detached");
    expect(visitor.socket.destroyed).toBe(false);
    await using second = Forked.start("client-process.ts", options);
    expect(await second.ask("start")).toEqual([`tcp://127.0.0.1:${port}`]);
    expect(await visitor.closed()).toBe("ECONNRESET");
    await echoesAt(port);
    expect(server.sessions()).toHaveLength(1);
    expect(fixture.serverLog.find({ message: "session ended" }).map(({ code }) => code)).toContain(
      "displaced",
    );
  });

  it("also while the old one is frozen; woken, that one stops and does not displace back", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.prepare();
    const { server } = fixture;
    const port = await freePort();
    const options = optionsOf(server, "frozen", port, service.address);
    await using first = Forked.start("client-process.ts", options);
    await first.ask("start");
    first.signal("SIGSTOP");
    await using second = Forked.start("client-process.ts", options);
    expect(await second.ask("start")).toEqual([`tcp://127.0.0.1:${port}`]);
    await echoesAt(port);
    first.signal("SIGCONT");
    expect(await first.ask("closed")).toBe("displaced");
    await echoesAt(port);
    expect(await second.ask("stats")).toMatchObject({ state: "open", dials: 1, sessions: 1 });
    expect(server.stats()).toMatchObject({ sessions: 1, attached: 1 });
    // With nothing to do it ends by itself.
    expect(await first.endsByItself()).toBe("0");
  });
});

describe("two clients of one name", () => {
  it("the newer one serves, the older one stops with displaced, and nobody comes back", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.prepare();
    const { server } = fixture;
    const port = await freePort();
    const options = optionsOf(server, "the same", port, service.address);
    await using older = new Client(options);
    const states = new StateWatch(older);
    await older.start();
    const visitor = await WireEnd.connect(`127.0.0.1:${port}`);
    expect(await visitor.ask("older")).toBe("older");
    await using newer = new Client(options);
    await newer.start();
    expect(await older.closed).toMatchObject({ code: "displaced" });
    expect(states.path).toEqual(["connecting", "open", "closing", "closed"]);
    expect(states.causes("closed")).toEqual(["displaced"]);
    expect(await visitor.closed()).toBe("ECONNRESET");
    expect(newer.tunnels[0]).toMatchObject({ state: "ready", address: `tcp://127.0.0.1:${port}` });
    await echoesAt(port);
    expect(newer.stats()).toMatchObject({ dials: 1, sessions: 1 });
    expect(older.stats().dials).toBe(0);
    // Started again by a person it is the newer one.
    await older.start();
    expect(await newer.closed).toMatchObject({ code: "displaced" });
    await echoesAt(port);
  });

  it("also when the older one is away: it hears displaced when it comes back", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start({ seed: 1, client: { name: "away" } });
    await fixture.open(LISTEN, service.address);
    await fixture.takeAway();
    await using newer = new Client({ server: urlOf(fixture.server), name: "away", drainMs: 0 });
    await newer.start();
    fixture.proxy.refuse(false);
    expect(await fixture.client.closed).toMatchObject({ code: "displaced" });
    expect(newer.state).toBe("open");
    expect(fixture.server.stats()).toMatchObject({ sessions: 1, attached: 1 });
  });

  it("ten at the same moment: one is left, and the server has one session", async () => {
    await using fixture = await TunnelFixture.prepare();
    const clients = Array.from(
      { length: 10 },
      () => new Client({ server: urlOf(fixture.server), name: "crowd", retry: QUICK_RETRY, drainMs: 0 }),
    );
    const codes = await Promise.all(
      clients.map((client) =>
        client.start().then(
          () => "started",
          (error: { code: string }) => error.code,
        ),
      ),
    );
    expect(new Set(codes)).toEqual(
      codes.includes("displaced") ? new Set(["started", "displaced"]) : new Set(["started"]),
    );
    await until(() => clients.filter(({ state }) => state === "open").length === 1, "one is left");
    await until(() => clients.filter(({ state }) => state === "closed").length === 9, "nine have stopped");
    expect(fixture.server.stats()).toMatchObject({ sessions: 1, attached: 1 });
    await Promise.all(clients.map((client) => client.close()));
  });
});

describe("clients of different names", () => {
  it("leave each other alone; a port that one has, the other gets when it is free", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.prepare();
    const { server } = fixture;
    const [port, other] = [await freePort(), await freePort()];
    await using one = new Client(optionsOf(server, "one", port, service.address));
    await using two = new Client(optionsOf(server, "two", other, service.address));
    await Promise.all([one.start(), two.start()]);
    expect(server.stats().sessions).toBe(2);
    const wanted = await two.openTunnel({
      mode: LISTEN,
      listen: `127.0.0.1:${port}`,
      connect: service.address,
    });
    expect(wanted.state).toBe("failed");
    await echoesAt(port);
    await echoesAt(other);
    await one.close();
    await until(() => wanted.state === "ready", "the port changed hands");
    await echoesAt(port);
    await echoesAt(other);
    expect(server.stats().sessions).toBe(1);
  });

  it("twenty on one server: one is killed, nineteen notice nothing", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.prepare();
    const { server } = fixture;
    const ports = await Promise.all(Array.from({ length: 20 }, () => freePort()));
    await using victim = Forked.start(
      "client-process.ts",
      optionsOf(server, "0", ports[0] ?? 0, service.address),
    );
    await victim.ask("start");
    const clients = ports
      .slice(1)
      .map((port, n) => new Client(optionsOf(server, `${n + 1}`, port, service.address)));
    const states = clients.map((client) => new StateWatch(client));
    await Promise.all(clients.map((client) => client.start()));
    const visitors = await Promise.all(ports.map((port) => WireEnd.connect(`127.0.0.1:${port}`)));
    for (const visitor of visitors) expect(await visitor.ask("before")).toBe("before");
    await victim.kill();
    await until(() => server.stats().detached === 1, "one is detached");
    for (const visitor of visitors.slice(1)) expect(await visitor.ask("after")).toBe("after");
    expect(server.stats()).toMatchObject({ sessions: 20, attached: 19 });
    for (const { path } of states) expect(path).toEqual(["connecting", "open"]);
    for (const { socket } of visitors) socket.destroy();
    await Promise.all(clients.map((client) => client.close()));
  });
});
