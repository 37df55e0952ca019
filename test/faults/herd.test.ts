import { ChaosProxy } from "@culvert/chaos";
import { Client, LISTEN } from "@culvert/client";
import { afterEach, beforeEach, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { Forked } from "../support/forked.ts";
import { freeAddress, freePort } from "../support/free-port.ts";
import { LogRecorder } from "../support/log-recorder.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { Service } from "../support/service.ts";
import { WireEnd } from "../support/wire-end.ts";
import { IS_FULL_LENGTH } from "./support/scale.ts";

const CLIENTS = IS_FULL_LENGTH ? 1000 : 200;
const BIN_MS = 100;

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

/** When connections came, by `performance.now()`. */
class Arrivals {
  readonly #at: number[] = [];

  constructor(proxy: ChaosProxy) {
    proxy.on("connection", () => this.#at.push(performance.now()));
  }

  /** How many came in each tenth of a second from then on. */
  since(start: number): number[] {
    const bins: number[] = [];
    for (const at of this.#at) {
      if (at < start) continue;
      const bin = Math.floor((at - start) / BIN_MS);
      bins[bin] = (bins[bin] ?? 0) + 1;
    }
    return Array.from(bins, (count) => count ?? 0);
  }
}

/** The waits before dials, as each client drew them. */
function waitsOf(log: LogRecorder): number[] {
  return log.find({ message: "waiting to dial" }).map(({ delayMs }) => Number(delayMs));
}

/** The most that came within a second. */
function peakOfSecond(bins: readonly number[]): number {
  const sums = bins.map((_, n) => bins.slice(n, n + 1000 / BIN_MS).reduce((sum, count) => sum + count, 0));
  return Math.max(0, ...sums);
}

it(`a server that is killed and started again has its ${CLIENTS} clients back, and they do not come all at once`, {
  timeout: 300_000,
}, async () => {
  await using service = await Service.echo();
  const port = await freePort();
  await using first = Forked.start("server-process.ts", { port, maxSessions: CLIENTS });
  await first.ask("start");
  // Counts every dial, also those that find nobody.
  await using proxy = await ChaosProxy.start({ target: { host: "127.0.0.1", port } });
  const arrivals = new Arrivals(proxy);
  const listens: string[] = [];
  for (let n = 0; n < CLIENTS; n += 1) listens.push(await freeAddress());
  const logs = Array.from({ length: CLIENTS }, () => new LogRecorder());
  const clients = logs.map(
    ({ logger }, n) =>
      new Client({
        server: `ws://127.0.0.1:${proxy.port}/`,
        name: `herd ${n}`,
        drainMs: 0,
        logger,
        tunnels: [{ mode: LISTEN, listen: listens[n] ?? "", connect: service.address }],
      }),
  );
  await Promise.all(clients.map((client) => client.start()));
  const ready = (): boolean => clients.every(({ tunnels }) => tunnels[0]?.state === "ready");
  await until(ready, "all tunnels listen", 60_000);
  const addresses = clients.map(({ tunnels }) => tunnels[0]?.address);

  await first.kill();
  const killedAt = performance.now();
  // Each has dialed and found nobody, and climbs its ladder.
  await until(() => clients.every((client) => client.stats().dials >= 3), "all have dialed again", 60_000);
  const whileAway = arrivals.since(killedAt);
  await using second = Forked.start("server-process.ts", { port, maxSessions: CLIENTS });
  await second.ask("start");
  const startedAt = performance.now();
  await until(
    () => clients.every((client) => client.state === "open" && client.stats().sessions === 2),
    "all are back",
    120_000,
  );
  await until(ready, "all tunnels listen again", 60_000);
  const backMs = Math.round(performance.now() - startedAt);
  const bins = arrivals.since(startedAt);
  console.log(
    `${CLIENTS} clients back ${backMs} ms after the server; dials a tenth of a second while it was away: ` +
      `${whileAway.join(" ")}; afterwards: ${bins.join(" ")}; peak ${peakOfSecond(bins)} a second`,
  );
  // When they really come depends on how busy the machine is: what spreads them is what each of them drew.
  const waits = logs.map(waitsOf);
  const mean = waits.flat().reduce((sum, wait) => sum + wait, 0) / waits.flat().length;
  expect(mean).toBeGreaterThan(200);
  const last = waits.map((own) => Math.floor((own.at(-1) ?? 0) / BIN_MS));
  const shares = [...new Set(last)].map((bin) => last.filter((other) => other === bin).length);
  expect(Math.max(...shares)).toBeLessThan(CLIENTS / 2);
  expect(shares.length).toBeGreaterThan(3);
  expect(clients.map(({ tunnels }) => tunnels[0]?.address)).toEqual(addresses);
  for (const address of addresses.slice(0, 20)) {
    const visitor = await WireEnd.connect(address);
    expect(await visitor.ask("back?")).toBe("back?");
    visitor.socket.destroy();
  }
  expect(await second.ask("stats")).toMatchObject({ sessions: CLIENTS, attached: CLIENTS });
  await Promise.all(clients.map((client) => client.close()));
  await until(() => proxy.stats().live === 0, "the last connection is gone");
});
