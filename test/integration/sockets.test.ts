import { Client, CONNECT, LISTEN } from "@culvert/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { Service } from "../support/service.ts";
import { QUICK_RETRY, TunnelFixture, urlOf } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

/** Visitors who come one after the other until one is not served; that one's connection is over. */
async function visitors(address: string | undefined): Promise<WireEnd[]> {
  const served: WireEnd[] = [];
  for (;;) {
    try {
      const visitor = await WireEnd.connect(address);
      await visitor.ask("hello");
      served.push(visitor);
    } catch {
      return served;
    }
  }
}

/** Leaves, and waits until the last of it is gone at both ends. */
async function leave(fixture: TunnelFixture, visitor: WireEnd, left: number): Promise<void> {
  visitor.socket.end();
  await visitor.closed();
  await until(() => fixture.server.stats().streams === left, `${left} streams are left`);
}

describe("maxSockets of a server", () => {
  it("takes visitors up to half of what others leave; other clients are served, and visitors again", async () => {
    await using echo = await Service.echo();
    await using fixture = await TunnelFixture.start({ server: { maxSockets: 40 } });
    const tunnel = await fixture.open(LISTEN, echo.address);
    const served = await visitors(tunnel.address);
    expect(served).toHaveLength(19); // and the listener
    expect(
      fixture.serverLog.find({ level: "warn", message: "too many sockets, a visitor is turned away" }),
    ).toHaveLength(1);

    await using other = new Client({
      server: urlOf(fixture.server),
      name: "other",
      retry: QUICK_RETRY,
      drainMs: 0,
    });
    await other.start();
    const targets = await other.openTunnel({ mode: CONNECT, listen: "127.0.0.1:0", connect: echo.address });
    const dialed = await visitors(targets.address);
    expect(dialed).toHaveLength(16); // what everybody may have
    expect(fixture.serverLog.find({ message: "stream refused", code: "resource_exhausted" })).toHaveLength(1);

    for (const visitor of dialed) visitor.reset();
    await until(() => fixture.server.stats().streams === 19, "the other client's are gone");
    await leave(fixture, served.pop() as WireEnd, 18);
    const again = await WireEnd.connect(tunnel.address);
    expect(await again.ask("again")).toBe("again");
    for (const visitor of [again, ...served]) visitor.reset();
    await fixture.quiet();
  });

  it("counts dials that fail no longer than they last", async () => {
    const gone = await Service.echo();
    await gone[Symbol.asyncDispose]();
    await using echo = await Service.echo();
    await using fixture = await TunnelFixture.start({ server: { maxSockets: 1 } });
    const [closed, open] = [
      await fixture.open(CONNECT, gone.address),
      await fixture.open(CONNECT, echo.address),
    ];
    for (let round = 0; round < 3; round += 1) {
      const visitor = await WireEnd.connect(closed.address);
      expect(await visitor.closed()).toBe("ECONNRESET");
    }
    expect(fixture.serverLog.find({ message: "stream refused", code: "target_refused" })).toHaveLength(3);
    const [visitor, ...others] = await visitors(open.address);
    expect(others).toEqual([]);
    await leave(fixture, visitor as WireEnd, 0);
  });

  it("counts listeners, and has one again when another is closed", async () => {
    await using echo = await Service.echo();
    await using fixture = await TunnelFixture.start({ server: { maxSockets: 1 } });
    const first = await fixture.open(LISTEN, echo.address);
    const second = await fixture.client.openTunnel({
      mode: LISTEN,
      listen: "127.0.0.1:0",
      connect: "127.0.0.1:1",
    });
    expect(second.state).toBe("failed");
    expect(fixture.serverLog.find({ message: "tunnel cannot listen" })[0]).toMatchObject({
      code: "resource_exhausted",
    });
    await first.close();
    await until(() => second.state === "ready", "the second tunnel listens");
  });
});

describe("maxSockets of a client", () => {
  it("is for its listeners, visitors and targets together", async () => {
    await using echo = await Service.echo();
    await using fixture = await TunnelFixture.start({ client: { maxSockets: 4 } });
    const local = await fixture.open(CONNECT, echo.address);
    const remote = await fixture.open(LISTEN, echo.address);
    const dialed = await WireEnd.connect(remote.address);
    expect(await dialed.ask("dialed")).toBe("dialed");
    const served = await visitors(local.address);
    expect(served).toHaveLength(2);
    // The server is told, and its visitor.
    const refused = await WireEnd.connect(remote.address);
    expect(await refused.closed()).toBe("ECONNRESET");
    expect(fixture.clientLog.find({ message: "stream refused", code: "resource_exhausted" })).toHaveLength(1);
    await leave(fixture, dialed, 2);
    expect(await visitors(local.address).then((more) => more.length)).toBe(1);
    await fixture.client.close();
  });
});
