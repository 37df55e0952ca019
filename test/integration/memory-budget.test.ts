import { ChaosProxy } from "@culvert/chaos";
import { Client, CONNECT } from "@culvert/client";
import { Server } from "@culvert/server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { SeededSink } from "../support/seeded-sink.ts";
import { SeededSource } from "../support/seeded-source.ts";
import { Service } from "../support/service.ts";
import { MODES, QUICK_RETRY, TunnelFixture } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

const MEGABYTE = 1024 * 1024;
/** Half of it is for promises, of which what six sessions own leaves a sixth. */
const BUDGET_BYTES = 4.5 * MEGABYTE;
const CLIENTS = 6;
/** One alone would find all that it needs in what its session owns. */
const VISITORS_EACH = 4;

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

interface Rig extends AsyncDisposable {
  readonly server: Server;
  readonly proxy: ChaosProxy;
  readonly clients: readonly Client[];
}

async function start(): Promise<Rig> {
  const server = new Server({ port: 0, drainMs: 0, memoryBudgetBytes: BUDGET_BYTES });
  await server.start();
  const proxy = await ChaosProxy.start({
    target: { host: "127.0.0.1", port: server.address?.port ?? 0 },
    seed: 5,
  });
  const clients = Array.from({ length: CLIENTS }, (_, n) => {
    const name = `client ${n}`;
    return new Client({ server: `ws://127.0.0.1:${proxy.port}/`, name, drainMs: 0, retry: QUICK_RETRY });
  });
  await Promise.all(clients.map((client) => client.start()));
  return {
    server,
    proxy,
    clients,
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((client) => client.close({ drainMs: 0 })));
      await server.close({ drainMs: 0 });
      await proxy.close();
    },
  };
}

describe("a memory budget that is too small for all", () => {
  it("makes sessions slow, never wrong: each byte arrives, also over cuts, and none of them is ended", async () => {
    await using service = await Service.echo();
    service.forgets();
    await using rig = await start();
    const { server, proxy, clients } = rig;
    let peak = 0;
    const watch = setInterval(() => {
      peak = Math.max(peak, server.stats().memoryBytes);
    }, 1);
    const tunnels = await Promise.all(
      clients.map((client) =>
        client.openTunnel({ mode: CONNECT, listen: "127.0.0.1:0", connect: service.address }),
      ),
    );
    const visitors = await Promise.all(
      tunnels.flatMap(({ address }) => Array.from({ length: VISITORS_EACH }, () => WireEnd.connect(address))),
    );
    for (const visitor of visitors) visitor.keepsNothing();
    const sinks = visitors.map(({ socket }, n) => new SeededSink(socket, n));
    const sources = visitors.map(({ socket }, n) => new SeededSource(socket, n, 2 * MEGABYTE));
    for (let cut = 1; cut <= 4; cut += 1) {
      await until(() => sources.some(({ sent }) => sent > (cut / 4) * MEGABYTE), "more was sent");
      proxy.cut({ how: cut % 2 === 0 ? "rst" : "fin" });
    }
    expect(await Promise.all(sinks.map(({ whole }) => whole))).toEqual(visitors.map(() => 2 * MEGABYTE));
    clearInterval(watch);
    expect(peak).toBeLessThanOrEqual(BUDGET_BYTES);
    expect(peak).toBeGreaterThan(CLIENTS * 320 * 1024);
    expect(clients.map((client) => client.stats().sessions)).toEqual(new Array(CLIENTS).fill(1));
    await until(() => server.stats().streams === 0, "there are no streams");
    // What was taken beyond what each session owns is back.
    await until(() => server.stats().memoryBytes === CLIENTS * 320 * 1024, "the memory is back");
  });
});

describe("connections that are idle", () => {
  it("hold none of the memory that they needed while they were busy, and get it again", async () => {
    await using service = await Service.echo();
    service.forgets();
    const session = { unusedWindowMs: 100 };
    await using fixture = await TunnelFixture.start({ server: { session }, client: { session } });
    const tunnels = await Promise.all(MODES.map((mode) => fixture.open(mode, service.address)));
    const visitors = await Promise.all(
      tunnels.flatMap(({ address }) => Array.from({ length: 50 }, () => WireEnd.connect(address))),
    );
    const owned = 320 * 1024;
    const windows = (): number =>
      (fixture.client.stats().session?.link.windowBytes ?? 0) +
      fixture.server.sessions().reduce((sum, { link }) => sum + link.windowBytes, 0);
    for (let round = 0; round < 2; round += 1) {
      let most = 0;
      const answers = visitors.map((visitor) => visitor.ask("x".repeat(4096)));
      const look = setInterval(() => {
        most = Math.max(most, windows());
      }, 1);
      await Promise.all(answers);
      clearInterval(look);
      expect(most).toBeGreaterThan(100 * 128 * 1024);
      await until(() => windows() === 0, "no window is promised");
      // What is left: the initial windows, of which the session owns eight.
      expect(fixture.server.stats().memoryBytes).toBeLessThanOrEqual(owned + 100 * 8 * 1024);
    }
    for (const visitor of visitors) visitor.socket.destroy();
    await until(() => fixture.server.stats().memoryBytes === owned, "only what the session owns");
    await fixture.quiet();
  });
});
