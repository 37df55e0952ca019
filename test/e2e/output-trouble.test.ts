import type { StdioOptions } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { persistently } from "../support/deadline.ts";
import { freePort } from "../support/free-port.ts";
import { Culvert } from "./support/culvert.ts";
import { echoOnce, Service } from "./support/sockets.ts";

/** At level debug each leaves lines on both sides: enough for any pipe, and for what is kept in front of one. */
const CONNECTIONS = 3000;
const WORKERS = 10;

describe("what cannot be printed ends nothing:", () => {
  let service: Service;
  let both: Culvert[];
  let ports: number[];
  beforeEach(async () => {
    service = await Service.echo();
    both = [];
  });
  afterEach(async () => {
    await Promise.all(both.map((culvert) => culvert[Symbol.asyncDispose]()));
    await service[Symbol.asyncDispose]();
  });

  /** Ports are chosen here, since a ready line may get lost. */
  const start = async (stdio?: StdioOptions): Promise<void> => {
    const server = String(await freePort());
    ports = [await freePort(), await freePort()];
    const tunnels = ["-L", "-R"].flatMap((mode, n) => [mode, `${ports[n]}:127.0.0.1:${service.port}`]);
    for (const args of [
      ["server", "--port", server],
      ["client", `ws://127.0.0.1:${server}`, ...tunnels],
    ]) {
      both.push(await Culvert.run([...args, "--log-level", "debug"], stdio === undefined ? {} : { stdio }));
    }
    for (const port of ports) {
      await persistently(() => echoOnce(port), "the tunnel carries");
    }
  };

  const useAndStop = async (): Promise<void> => {
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < CONNECTIONS) await echoOnce(ports[next++ % ports.length]!);
    };
    await Promise.all(Array.from({ length: WORKERS }, worker));
    for (const culvert of both.reverse()) expect(await culvert.end("SIGTERM")).toMatchObject({ code: 0 });
  };

  test("a full disk", async () => {
    const full = openSync("/dev/full", "w");
    try {
      await start(["ignore", full, full]);
    } finally {
      closeSync(full);
    }
    await useAndStop();
  });

  test("nobody who reads any more", async () => {
    await start();
    for (const culvert of both) culvert.closePipes();
    await useAndStop();
  });

  test("somebody who does not read", async () => {
    await start();
    for (const culvert of both) culvert.stopReading();
    await useAndStop();
  });

  test("nothing to print to at all", async () => {
    await start("ignore");
    await useAndStop();
  });
});
