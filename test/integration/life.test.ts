import { Client, CONNECT } from "@culvert/client";
import { Server } from "@culvert/server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { soon, until } from "../support/deadline.ts";
import { Forked } from "../support/forked.ts";
import { freeAddress, freePort } from "../support/free-port.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { SeededSink } from "../support/seeded-sink.ts";
import { SeededSource } from "../support/seeded-source.ts";
import { Service } from "../support/service.ts";
import { MODES, QUICK_RETRY, TunnelFixture, urlOf } from "../support/tunnel-fixture.ts";
import { endingAt, WireEnd } from "../support/wire-end.ts";

const FOREVER = 60_000;

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

describe("a client", () => {
  it("starts, echoes, closes, and starts again, as often as one likes", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.prepare({
      client: { tunnels: MODES.map((mode) => ({ mode, listen: "127.0.0.1:0", connect: service.address })) },
    });
    const { client } = fixture;
    for (let n = 0; n < 5; n += 1) {
      await client.start();
      for (const { address } of client.tunnels) {
        const visitor = await WireEnd.connect(address);
        expect(await visitor.ask(`start ${n}`)).toBe(`start ${n}`);
        visitor.socket.end();
        expect(await visitor.closed()).toBe("end");
      }
      await client.close();
      expect(client).toMatchObject({ state: "closed", tunnels: [] });
      await until(() => fixture.server.sessions().length === 0, "the server was told");
    }
    const path = ["connecting", "open", "closing", "closed"];
    expect(fixture.states.path).toEqual([...path, ...path, ...path, ...path, ...path]);
  });

  it("is started once only, and may be closed at any moment and again", async () => {
    await using fixture = await TunnelFixture.prepare();
    const { client } = fixture;
    await client.close();
    const starting = client.start();
    await expect(client.start()).rejects.toMatchObject({ code: "already_started" });
    const closing = client.close();
    await expect(starting).rejects.toMatchObject({ code: "aborted" });
    await Promise.all([closing, client.close(), client.close()]);
    await client.start();
    await expect(client.start()).rejects.toMatchObject({ code: "already_started" });
    await Promise.all([client.close(), client.close()]);
    expect(await client.closed).toBeUndefined();
    await until(() => fixture.server.sessions().length === 0, "nothing is left at the server");
  });

  it("closed while it waits to dial again, ends at once and dials no more", async () => {
    const port = await freePort();
    const dials: number[] = [];
    const client = new Client({
      server: ({ attempt }) => {
        dials.push(attempt);
        return `ws://127.0.0.1:${port}`;
      },
      retry: { baseMs: FOREVER, capMs: FOREVER },
      random: () => 0.99,
    });
    const starting = client.start();
    await until(() => dials.length === 1, "the first dial");
    await until(() => client.stats().dials === 1, "it waits");
    await soon(client.close(), "the close is done", 5000);
    await expect(starting).rejects.toMatchObject({ code: "aborted" });
    expect(dials).toEqual([1]);
  });

  it("closed while its server hangs, ends at once", async () => {
    await using silent = await Service.start();
    const client = new Client({ server: silent.address.replace("tcp", "ws") });
    const starting = client.start();
    await silent.next();
    await soon(client.close(), "the close is done", 5000);
    await expect(starting).rejects.toMatchObject({ code: "aborted" });
  });

  it("closed while it is detached, comes back for a moment to say so", async () => {
    await using fixture = await TunnelFixture.start({
      seed: 1,
      client: { retry: { baseMs: FOREVER, resumableCapMs: FOREVER }, random: () => 0.99 },
    });
    fixture.proxy.refuse();
    fixture.proxy.cut({ how: "rst" });
    // The first redial is at once and fails; the next one would come in a minute.
    await until(() => fixture.client.stats().dials === 2, "it waits");
    fixture.proxy.refuse(false);
    await soon(fixture.client.close(), "the close is done", 10_000);
    await until(() => fixture.server.sessions().length === 0, "the server was told");
    expect(
      fixture.serverLog.find({ level: "info", message: "session ended" }).map(({ code }) => code),
    ).toEqual(["closed"]);
  });
});

describe.each(MODES)("%s: going away in good order", (mode) => {
  it.each(["client", "server"] as const)(
    "the %s lets a running transfer finish, and takes nobody new",
    async (side) => {
      await using service = await Service.start();
      await using fixture = await TunnelFixture.start();
      const tunnel = await fixture.open(mode, service.address);
      const { address } = tunnel;
      const visitor = await WireEnd.connect(address);
      const target = await service.next();
      const sink = new SeededSink(visitor.socket, 1);
      const source = new SeededSource(target.socket, 1);
      await until(() => sink.received > 100_000, "the transfer runs");
      const closing = fixture[side].close({ drainMs: FOREVER });
      await until(() => isDraining(fixture), "it drains");
      expect(["ECONNREFUSED", "ECONNRESET"]).toContain(await endingAt(address));
      const before = sink.received;
      await until(() => sink.received > before + 1_000_000, "the transfer goes on");
      source.stop();
      expect(await sink.whole).toBe(await source.done);
      visitor.socket.end();
      await soon(closing, "the close is done");
      expect(await visitor.closed()).toBe("end");
      expect(await target.closed()).toBe("end");
    },
  );

  it.each(["client", "server"] as const)(
    "the %s, while the link is away, waits for the transfer too",
    async (side) => {
      await using service = await Service.start();
      await using fixture = await TunnelFixture.start({ seed: 4 });
      const tunnel = await fixture.open(mode, service.address);
      const visitor = await WireEnd.connect(tunnel.address);
      const target = await service.next();
      const sink = new SeededSink(visitor.socket, 1);
      const source = new SeededSource(target.socket, 1);
      await until(() => sink.received > 100_000, "the transfer runs");
      await fixture.takeAway();
      const closing = fixture[side].close({ drainMs: FOREVER });
      await until(() => isDraining(fixture), "it drains");
      fixture.proxy.refuse(false);
      const before = sink.received;
      await until(() => sink.received > before + 1_000_000, "the transfer goes on");
      source.stop();
      expect(await sink.whole).toBe(await source.done);
      visitor.socket.end();
      await soon(closing, "the close is done");
      expect(await target.closed()).toBe("end");
    },
  );

  it.each(["client", "server"] as const)(
    "the %s waits for an endless stream no longer than it was told",
    async (side) => {
      await using service = await Service.echo();
      await using fixture = await TunnelFixture.start();
      const tunnel = await fixture.open(mode, service.address);
      const visitor = await WireEnd.connect(tunnel.address);
      expect(await visitor.ask("endless")).toBe("endless");
      // Said again meanwhile, it is the same close.
      const closing = [fixture[side].close({ drainMs: 100 }), fixture[side].close()];
      await soon(Promise.all(closing), "the close is done");
      expect(await visitor.closed()).toBe("ECONNRESET");
    },
  );
});

describe("a server", () => {
  it("closed right after its start leaves nothing, and its port is free", async () => {
    const port = await freePort();
    for (let n = 0; n < 5; n += 1) {
      const server = new Server({ port });
      const starting = server.start();
      await server.close();
      await starting.catch((error: unknown) => expect(error).toMatchObject({ code: "aborted" }));
      expect(await endingAt(`127.0.0.1:${port}`)).toBe("ECONNREFUSED");
    }
  });

  it("says why it cannot start, and can once the port is free", async () => {
    await using squatter = await Service.start(undefined, await freeAddress());
    const port = Number(squatter.address.split(":").at(-1));
    await using server = new Server({ port, drainMs: 0 });
    await expect(server.start()).rejects.toMatchObject({ code: "address_in_use", message: /:\d+/ });
    await squatter[Symbol.asyncDispose]();
    await server.start();
    expect(server.address?.port).toBe(port);
  });

  it("tells of each session: new, attached, detached, attached, ended; and each end its cause", async () => {
    await using fixture = await TunnelFixture.prepare({ seed: 2 });
    await fixture.client.start();
    await until(() => fixture.client.stats().session?.link.rttMs !== undefined, "the session is proven");
    fixture.proxy.cut({ how: "rst" });
    await fixture.states.entered("open", 2);
    await fixture.client.close();
    await fixture.served.entered("ended", 1);
    const { events } = fixture.served;
    expect(events.map(({ previous, current }) => `${previous} to ${current}`)).toEqual([
      "new to attached",
      "attached to detached",
      "detached to attached",
      "attached to ended",
    ]);
    expect(events.map(({ cause }) => cause?.code)).toEqual([
      undefined,
      "transport_closed",
      undefined,
      "closed",
    ]);
    expect(new Set(events.map(({ session }) => session.id)).size).toBe(1);
  });

  it("closed, tells its clients; they go on dialing, and end when they are closed", async () => {
    await using fixture = await TunnelFixture.start();
    await fixture.server.close();
    await fixture.states.entered("connecting", 2);
    expect(fixture.states.causes("connecting")).toEqual([undefined, "shutting_down"]);
    await soon(fixture.client.close(), "the close is done", 5000);
    expect(fixture.states.path).toEqual(["connecting", "open", "connecting", "closing", "closed"]);
  });

  it("drains while a client is away, and the client may come back meanwhile", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start({ seed: 3 });
    const tunnel = await fixture.open(CONNECT, service.address);
    const visitor = await WireEnd.connect(tunnel.address);
    expect(await visitor.ask("before")).toBe("before");
    await fixture.takeAway();
    const closing = fixture.server.close({ drainMs: FOREVER });
    const newcomer = new Client({ server: urlOf(fixture.server), retry: { ...QUICK_RETRY, maxAttempts: 1 } });
    await expect(newcomer.start()).rejects.toMatchObject({ code: "attempts_exhausted" });
    await fixture.restore();
    expect(await visitor.ask("after")).toBe("after");
    visitor.socket.end();
    expect(await visitor.closed()).toBe("end");
    await soon(closing, "the close is done");
  });
});

it("a process in which a server and a client were closed ends by itself", async () => {
  await using service = await Service.echo();
  await using process = Forked.start("load-process.ts", {});
  const addresses = await process.ask<string[]>(
    "start",
    MODES.map((mode) => ({ mode, target: service.address })),
  );
  for (const address of addresses) {
    const visitor = await WireEnd.connect(address);
    expect(await visitor.ask("hello")).toBe("hello");
    visitor.socket.destroy();
  }
  await process.ask("close");
  expect(await process.endsByItself()).toBe("0");
});

function isDraining({ client, server }: TunnelFixture): boolean {
  return client.state === "closing" || server.state === "draining";
}
