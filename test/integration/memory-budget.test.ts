import { ChaosProxy } from "@culvert/chaos";
import { Client, CONNECT } from "@culvert/client";
import { Server } from "@culvert/server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { SeededSink } from "../support/seeded-sink.ts";
import { SeededSource } from "../support/seeded-source.ts";
import { Service } from "../support/service.ts";
import { QUICK_RETRY } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

const MEGABYTE = 1024 * 1024;
/** Room for what seven sessions own, and a little: it is tight all the time. */
const BUDGET_BYTES = 2.5 * MEGABYTE;
const CLIENTS = 6;

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
    const visitors = await Promise.all(tunnels.map(({ address }) => WireEnd.connect(address)));
    for (const visitor of visitors) visitor.keepsNothing();
    const sinks = visitors.map(({ socket }, n) => new SeededSink(socket, n));
    const sources = visitors.map(({ socket }, n) => new SeededSource(socket, n, 8 * MEGABYTE));
    for (let cut = 1; cut <= 4; cut += 1) {
      await until(() => sources.some(({ sent }) => sent > cut * MEGABYTE), "more was sent");
      proxy.cut({ how: cut % 2 === 0 ? "rst" : "fin" });
    }
    expect(await Promise.all(sinks.map(({ whole }) => whole))).toEqual(new Array(CLIENTS).fill(8 * MEGABYTE));
    clearInterval(watch);
    expect(peak).toBeLessThanOrEqual(BUDGET_BYTES);
    expect(peak).toBeGreaterThan(CLIENTS * 320 * 1024);
    expect(clients.map((client) => client.stats().sessions)).toEqual(new Array(CLIENTS).fill(1));
    await until(() => server.stats().streams === 0, "there are no streams");
    // What was taken beyond what each session owns is back.
    await until(() => server.stats().memoryBytes === CLIENTS * 320 * 1024, "the memory is back");
  });
});
