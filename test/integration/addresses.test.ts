import { existsSync } from "node:fs";
import { Client, CONNECT, LISTEN, type TunnelOptions } from "@culvert/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { Forked } from "../support/forked.ts";
import { freeAddress, freePort } from "../support/free-port.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { Service } from "../support/service.ts";
import { StateWatch } from "../support/state-watch.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";
import { QUICK_RETRY, TunnelFixture, urlOf } from "../support/tunnel-fixture.ts";
import { endingAt, WireEnd } from "../support/wire-end.ts";

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

async function echoesAt(address: string | undefined): Promise<void> {
  const visitor = await WireEnd.connect(address);
  expect(await visitor.ask("served")).toBe("served");
  visitor.socket.destroy();
}

describe("listen port 0", () => {
  it("asks for the former port first, takes any other, and goes on asking for that", async () => {
    await using service = await Service.echo();
    const port = await freePort();
    await using first = Forked.start("server-process.ts", { port });
    await first.ask("start");
    const tunnels: TunnelOptions[] = [{ mode: LISTEN, listen: "127.0.0.1:0", connect: service.address }];
    await using client = new Client({
      server: `ws://127.0.0.1:${port}`,
      retry: QUICK_RETRY,
      drainMs: 0,
      tunnels,
    });
    const states = new StateWatch(client);
    await client.start();
    const [tunnel] = client.tunnels;
    const former = tunnel?.address ?? "";
    await first.kill();
    await using _squatter = await Service.start(undefined, former);
    await using second = Forked.start("server-process.ts", { port });
    await second.ask("start");
    await states.entered("open", 2);
    await until(() => tunnel?.state === "ready", "the tunnel is ready");
    const latter = tunnel?.address ?? "";
    expect(latter).not.toBe(former);
    await echoesAt(latter);
    await second.kill();
    await using third = Forked.start("server-process.ts", { port });
    await third.ask("start");
    await states.entered("open", 3);
    await until(() => tunnel?.state === "ready", "the tunnel is ready");
    expect(tunnel?.address).toBe(latter);
    await echoesAt(latter);
  });
});

describe("Unix sockets", () => {
  it("that a killed server left behind are taken over by the next one", async () => {
    using folder = new TemporaryFolder();
    await using service = await Service.echo();
    const port = await freePort();
    const listen = folder.socket();
    await using first = Forked.start("server-process.ts", { port });
    await first.ask("start");
    const tunnels: TunnelOptions[] = [{ mode: LISTEN, listen, connect: service.address }];
    await using client = new Client({
      server: `ws://127.0.0.1:${port}`,
      retry: QUICK_RETRY,
      drainMs: 0,
      tunnels,
    });
    const states = new StateWatch(client);
    await client.start();
    await echoesAt(listen);
    await first.kill();
    expect(existsSync(listen.replace("unix://", ""))).toBe(true);
    await using second = Forked.start("server-process.ts", { port });
    await second.ask("start");
    await states.entered("open", 2);
    await until(() => client.tunnels[0]?.state === "ready", "the tunnel is ready");
    await echoesAt(listen);
    await client.close();
    expect(existsSync(listen.replace("unix://", ""))).toBe(false);
  });

  it("that a killed client left behind are taken over by the next one, and never from one that lives", async () => {
    using folder = new TemporaryFolder();
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.prepare();
    const listen = folder.socket();
    const tunnels: TunnelOptions[] = [{ mode: CONNECT, listen, connect: service.address }];
    const options = { server: urlOf(fixture.server), drainMs: 0, tunnels };
    await using first = Forked.start("client-process.ts", { ...options, name: "first" });
    await first.ask("start");
    await echoesAt(listen);
    await using rival = new Client({ ...options, name: "rival" });
    await expect(rival.start()).rejects.toMatchObject({
      code: "listen_failed",
      cause: { code: "address_in_use" },
    });
    await echoesAt(listen);
    await first.kill();
    await rival.start();
    await echoesAt(listen);
  });
});

describe("a start that fails", () => {
  it.each([0, 1, 2])("for the listener at place %i leaves no listener and no session", async (place) => {
    await using service = await Service.echo();
    await using squatter = await Service.start(undefined, await freeAddress());
    await using fixture = await TunnelFixture.prepare();
    const ports = [await freePort(), await freePort(), await freePort()];
    const tunnels = ports.map((port, n): TunnelOptions => {
      const listen = n === place ? squatter.address : `127.0.0.1:${port}`;
      return { mode: CONNECT, listen, connect: service.address };
    });
    const client = new Client({ server: urlOf(fixture.server), tunnels });
    await expect(client.start()).rejects.toMatchObject({
      code: "listen_failed",
      cause: { code: "address_in_use" },
    });
    expect(client).toMatchObject({ state: "closed", tunnels: [] });
    for (const port of ports) expect(await endingAt(`127.0.0.1:${port}`)).toBe("ECONNREFUSED");
    expect(fixture.server.sessions()).toEqual([]);
    // What was in the way is gone: the same client can be started.
    await squatter[Symbol.asyncDispose]();
    await client.start();
    for (const { address } of client.tunnels) await echoesAt(address);
    await client.close();
  });
});
