import { LISTEN } from "@culvert/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { freePort, NOBODY } from "../support/free-port.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { Service } from "../support/service.ts";
import { MODES, TunnelFixture } from "../support/tunnel-fixture.ts";
import { endingAt, WireEnd } from "../support/wire-end.ts";

/**
 * What one short connection costs on the wire is some 50 to 150 bytes, by direction. Cut behind each few of them, every
 * frame of its life is lost once, in whole or in part: the open, the answer, the data, both ends, their acknowledgements.
 */
const STEP = 3;
const SPAN = 120;

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

const OFFSETS = Array.from({ length: SPAN / STEP }, (_, n) => n * STEP);

async function start(): Promise<TunnelFixture> {
  return TunnelFixture.start({ seed: 1 });
}

describe.each(MODES)("%s: cut behind any byte", (mode) => {
  it.each(["up", "down"] as const)(
    "a connection is dialed once, answered and ended once, %s",
    async (direction) => {
      await using service = await Service.start(({ socket }) => {
        socket.on("end", () => socket.end("the answer"));
      });
      await using fixture = await start();
      const tunnel = await fixture.open(mode, service.address);
      for (const [n, bytes] of OFFSETS.entries()) {
        fixture.proxy.cutAfter({ bytes, direction, how: n % 5 === 0 ? "rst" : "fin", which: "live" });
        const visitor = await WireEnd.connect(tunnel.address);
        visitor.socket.end("the question");
        expect(await visitor.closed()).toBe("end");
        expect(visitor.text).toBe("the answer");
        const target = await service.next();
        expect(await target.closed()).toBe("end");
        expect(target.text).toBe("the question");
        expect(service.visitors).toHaveLength(n + 1);
        fixture.proxy.cancelCuts();
        await fixture.states.reaches("open");
      }
      expect(fixture.resumes).toBeGreaterThan(15);
      expect(fixture.sessions).toBe(1);
      await fixture.quiet();
    },
  );

  it.each(["up", "down"] as const)("a reset is a reset once, and a refusal is one, %s", async (direction) => {
    await using service = await Service.start(({ socket }) => {
      socket.once("data", () => socket.resetAndDestroy());
    });
    await using fixture = await start();
    const tunnel = await fixture.open(mode, service.address);
    const dead = await fixture.open(mode, NOBODY);
    for (const [n, bytes] of OFFSETS.entries()) {
      fixture.proxy.cutAfter({ bytes, direction, how: n % 5 === 0 ? "rst" : "fin", which: "live" });
      if (n % 4 >= 2) expect(await endingAt(dead.address)).toBe("ECONNRESET");
      else {
        const visitor = await WireEnd.connect(tunnel.address);
        visitor.socket.write("!");
        expect(await visitor.closed()).toBe("ECONNRESET");
      }
      await fixture.quiet();
      fixture.proxy.cancelCuts();
      await fixture.states.reaches("open");
    }
    expect(fixture.resumes).toBeGreaterThan(5);
    expect(fixture.sessions).toBe(1);
  });
});

it.each(["up", "down"] as const)(
  "LISTEN: cut behind any byte, a tunnel is opened once and closed once, %s",
  async (direction) => {
    await using service = await Service.echo();
    await using fixture = await start();
    const port = await freePort();
    for (const [n, bytes] of OFFSETS.entries()) {
      fixture.proxy.cutAfter({ bytes, direction, how: n % 5 === 0 ? "rst" : "fin", which: "live" });
      const tunnel = await fixture.open(LISTEN, service.address, `127.0.0.1:${port}`);
      expect(tunnel).toMatchObject({ state: "ready", address: `tcp://127.0.0.1:${port}` });
      if (n % 5 === 0) {
        const visitor = await WireEnd.connect(tunnel.address);
        expect(await visitor.ask("open?")).toBe("open?");
        visitor.socket.destroy();
      }
      await tunnel.close();
      await until(() => fixture.server.sessions()[0]?.tunnels.length === 0, "the server has closed it");
      expect(await endingAt(`127.0.0.1:${port}`)).toBe("ECONNREFUSED");
      fixture.proxy.cancelCuts();
      await fixture.states.reaches("open");
    }
    expect(fixture.resumes).toBeGreaterThan(5);
    expect(fixture.sessions).toBe(1);
    await fixture.quiet();
  },
);
