import { connect } from "node:net";
import { parseEndpoint } from "@culvert/protocol";
import { describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { Forked } from "../support/forked.ts";
import { atRest } from "../support/load-at-rest.ts";
import type { Holdings } from "../support/load-process.ts";
import { Service } from "../support/service.ts";
import { MODES } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

const MEGABYTE = 1024 * 1024;
const SIMULTANEOUS = 1000;
/** Of each mode, so 50,000 in all. */
const ONE_AFTER_ANOTHER = 25_000;
const AT_A_TIME = 20;

/** A target of its own for each mode: 50,000 connections to one address would use up its ports, which rest for a minute. */
async function echoServices(): Promise<Service[]> {
  const services = await Promise.all(MODES.map(() => Service.echo()));
  for (const service of services) service.forgets();
  return services;
}

interface Rig extends AsyncDisposable {
  readonly load: Forked;
  readonly addresses: string[];
  /** Connections that the targets have open. */
  readonly open: () => number;
}

/** Server and client in a process of their own; visitors and the echoing targets here. */
async function start(): Promise<Rig> {
  const services = await echoServices();
  const load = Forked.start("load-process.ts", {});
  const wanted = MODES.map((mode, n) => ({ mode, target: services[n]?.address }));
  const addresses = await load.ask<string[]>("start", wanted);
  const close = async (): Promise<void> => {
    await load[Symbol.asyncDispose]();
    for (const service of services) await service[Symbol.asyncDispose]();
  };
  const open = (): number => services.reduce((sum, service) => sum + service.open, 0);
  return { load, addresses, open, [Symbol.asyncDispose]: close };
}

/** One visitor: says something, gets it back, ends. */
function echo(port: number, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.end(text));
    let got = "";
    socket.on("data", (chunk: Buffer) => {
      got += chunk.toString();
    });
    socket.once("error", reject);
    socket.once("close", () => (got === text ? resolve() : reject(new Error(`${got} for ${text}`))));
  });
}

describe("many connections", () => {
  it(`${SIMULTANEOUS} at once through each mode, each with its own bytes, and nothing is left of them`, async () => {
    await using rig = await start();
    const { load, addresses, open } = rig;
    const before = await atRest(load);
    for (const [m, address] of addresses.entries()) {
      const visitors = await Promise.all(
        Array.from({ length: SIMULTANEOUS }, () => WireEnd.connect(address)),
      );
      const texts = await Promise.all(visitors.map((visitor, n) => visitor.ask(`${m}: ${n}`)));
      expect(texts).toEqual(visitors.map((_, n) => `${m}: ${n}`));
      const during = await load.ask<Holdings>("holdings");
      expect(during.streams).toBe(2 * SIMULTANEOUS);
      // All of them talk again while all of them are there.
      await Promise.all(visitors.map((visitor, n) => visitor.ask(`again ${n}`)));
      for (const { socket } of visitors) socket.end();
      expect(new Set(await Promise.all(visitors.map((visitor) => visitor.closed())))).toEqual(
        new Set(["end"]),
      );
    }
    await until(() => open() === 0, "the targets have no connection left");
    const { memory } = await atRest(load, before);
    expect(memory - before.memory).toBeLessThan(16 * MEGABYTE);
  });

  it(`${2 * ONE_AFTER_ANOTHER} one after another leave nothing behind`, { timeout: 180_000 }, async () => {
    await using rig = await start();
    const { load, addresses } = rig;
    const ports = addresses.map((address) => {
      const endpoint = parseEndpoint(address);
      return endpoint.scheme === "tcp" ? endpoint.port : 0;
    });
    const run = async (count: number): Promise<void> => {
      let next = 0;
      const worker = async (): Promise<void> => {
        while (next < count * ports.length) {
          const n = next;
          next += 1;
          await echo(ports[n % ports.length] as number, `connection ${n}`);
        }
      };
      await Promise.all(Array.from({ length: AT_A_TIME }, worker));
    };
    // Code is compiled, pools are filled: after the first fifth nothing may grow any more.
    const idle = await atRest(load);
    await run(ONE_AFTER_ANOTHER / 5);
    const before = await atRest(load, idle);
    await run((ONE_AFTER_ANOTHER * 4) / 5);
    const after = await atRest(load, idle);
    expect(after.memory - before.memory).toBeLessThan(4 * MEGABYTE);
    expect(await load.ask("resumes")).toBe(0);
  });
});
