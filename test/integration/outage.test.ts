import { CONNECT, LISTEN, type Mode, type Tunnel } from "@culvert/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { freeAddress } from "../support/free-port.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { SeededSink } from "../support/seeded-sink.ts";
import { SeededSource } from "../support/seeded-source.ts";
import { Service } from "../support/service.ts";
import { MODES, TunnelFixture } from "../support/tunnel-fixture.ts";
import { endingAt, WireEnd } from "../support/wire-end.ts";

const MEGABYTE = 1024 * 1024;

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

/** Longer than it takes to visit somebody on a machine that is busy. */
const GRACE_MS = 2000;

interface Carried extends AsyncDisposable {
  readonly fixture: TunnelFixture;
  readonly service: Service;
  readonly tunnel: Tunnel;
  readonly visitor: WireEnd;
  readonly target: WireEnd;
}

/** A connection that has carried a byte each way, over a proxy. */
async function carry(mode: Mode): Promise<Carried> {
  const service = await Service.start();
  const fixture = await TunnelFixture.start({ seed: 1 });
  const tunnel = await fixture.open(mode, service.address);
  const visitor = await WireEnd.connect(tunnel.address);
  const target = await service.next();
  visitor.socket.write("?");
  target.socket.write("!");
  await Promise.all([target.read(1), visitor.read(1)]);
  const close = async (): Promise<void> => {
    visitor.socket.destroy();
    await fixture[Symbol.asyncDispose]();
    await service[Symbol.asyncDispose]();
  };
  return { fixture, service, tunnel, visitor, target, [Symbol.asyncDispose]: close };
}

const ENDS = [
  ["visitor", "target"],
  ["target", "visitor"],
] as const;

describe.each(MODES)("%s: while the link is away", (mode) => {
  it.each(ENDS)(
    "what the %s said before and meanwhile reaches the %s afterwards, with its end",
    async (from, to) => {
      await using carried = await carry(mode);
      await carried.fixture.takeAway();
      carried[from].socket.write("meanwhile, ");
      carried[from].socket.end("and the end");
      await carried.fixture.restore();
      expect(await carried[to].ended()).toBe("end");
      expect(carried[to].text.slice(1)).toBe("meanwhile, and the end");
      carried[to].socket.end("an answer");
      expect(await carried[from].closed()).toBe("end");
      expect(carried[from].text.slice(1)).toBe("an answer");
      expect(carried.fixture.sessions).toBe(1);
      await carried.fixture.quiet();
    },
  );

  it.each(ENDS)(
    "a connection that the %s half closed before stays half closed, and the %s goes on",
    async (ended, talks) => {
      await using carried = await carry(mode);
      carried[ended].socket.end();
      expect(await carried[talks].ended()).toBe("end");
      carried[ended].keepsNothing();
      const sink = new SeededSink(carried[ended].socket, 4);
      const source = new SeededSource(carried[talks].socket, 4, 4 * MEGABYTE);
      await until(() => sink.received > MEGABYTE, "the answer runs");
      await carried.fixture.takeAway();
      await carried.fixture.restore();
      expect(await sink.whole).toBe(await source.done);
      expect(await carried[talks].closed()).toBe("end");
      await carried.fixture.quiet();
    },
  );

  it.each(ENDS)("a RST of the %s arrives at the %s after the resume", async (breaks, other) => {
    await using carried = await carry(mode);
    await carried.fixture.takeAway();
    carried[breaks].reset();
    await carried[breaks].closed();
    expect(carried[other].socket.destroyed).toBe(false);
    await carried.fixture.restore();
    expect(await carried[other].closed()).toBe("ECONNRESET");
    expect(carried.fixture.sessions).toBe(1);
    await carried.fixture.quiet();
  });

  it("visitors who come are served afterwards, with what they said at once", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start({ seed: 2 });
    const tunnel = await fixture.open(mode, service.address);
    await fixture.takeAway();
    const visitors = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        const visitor = await WireEnd.connect(tunnel.address);
        visitor.socket.end(`visitor ${n}`);
        return visitor;
      }),
    );
    const waiting = (): number | undefined =>
      mode === CONNECT
        ? fixture.client.stats().session?.link.waitingOpens
        : fixture.server.sessions()[0]?.link.waitingOpens;
    await until(() => waiting() === 50, "50 opens wait");
    expect(service.visitors).toHaveLength(0);
    await fixture.restore();
    expect(await Promise.all(visitors.map((visitor) => visitor.closed()))).toEqual(visitors.map(() => "end"));
    expect(visitors.map(({ text }) => text)).toEqual(visitors.map((_, n) => `visitor ${n}`));
    expect(service.visitors).toHaveLength(50);
    await fixture.quiet();
  });

  it("a visitor who leaves again causes no dial", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start({ seed: 3 });
    const tunnel = await fixture.open(mode, service.address);
    await fixture.takeAway();
    const leaves = await WireEnd.connect(tunnel.address);
    const stays = await WireEnd.connect(tunnel.address);
    leaves.socket.write("never mind");
    const streams = (): number | undefined =>
      mode === CONNECT ? fixture.client.stats().session?.link.streams : fixture.server.stats().streams;
    await until(() => streams() === 2, "both wait");
    leaves.reset();
    await until(() => streams() === 1, "one is gone");
    await fixture.restore();
    expect(await stays.ask("served")).toBe("served");
    expect(service.visitors).toHaveLength(1);
    stays.socket.destroy();
    await fixture.quiet();
  });

  it("only as many visitors wait as maxWaitingOpens", async () => {
    await using service = await Service.echo();
    const session = { maxWaitingOpens: 3 };
    await using fixture = await TunnelFixture.start({ seed: 4, client: { session }, server: { session } });
    const tunnel = await fixture.open(mode, service.address);
    await fixture.takeAway();
    const visitors = await Promise.all(Array.from({ length: 3 }, () => WireEnd.connect(tunnel.address)));
    const log = mode === CONNECT ? fixture.clientLog : fixture.serverLog;
    await until(() => log.find({ message: "visitor connected" }).length === 3, "three wait");
    expect(await endingAt(tunnel.address)).toBe("ECONNRESET");
    expect(log.find({ message: "visitor reset" }).map(({ code }) => code)).toEqual(["stream_limit"]);
    await fixture.restore();
    for (const visitor of visitors) {
      expect(await visitor.ask("in time")).toBe("in time");
      visitor.socket.destroy();
    }
    expect(service.visitors).toHaveLength(3);
  });

  it("a visitor waits no longer than visitorWaitMs", async () => {
    await using service = await Service.echo();
    const session = { visitorWaitMs: 400 };
    await using fixture = await TunnelFixture.start({ seed: 4, client: { session }, server: { session } });
    const tunnel = await fixture.open(mode, service.address);
    await fixture.takeAway();
    expect(await endingAt(tunnel.address)).toBe("ECONNRESET");
    const log = mode === CONNECT ? fixture.clientLog : fixture.serverLog;
    expect(log.find({ message: "visitor reset" }).map(({ code }) => code)).toEqual(["visitor_wait_timeout"]);
    await fixture.restore();
    const next = await WireEnd.connect(tunnel.address);
    expect(await next.ask("in time")).toBe("in time");
    expect(service.visitors).toHaveLength(1);
    next.socket.destroy();
  });
});

describe.each(MODES)("%s: tunnels while the link is away", (mode) => {
  it("that are opened serve when it is back, and those that are closed refuse then", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start({ seed: 7 });
    const old = await fixture.open(mode, service.address, await freeAddress());
    const { address } = old;
    await fixture.takeAway();
    const opening = fixture.open(mode, service.address, "127.0.0.2:0");
    await old.close();
    expect(old.state).toBe("closed");
    if (mode === CONNECT) expect(await endingAt(address)).toBe("ECONNREFUSED");
    await fixture.restore();
    const tunnel = await opening;
    expect(tunnel.state).toBe("ready");
    const visitor = await WireEnd.connect(tunnel.address);
    expect(await visitor.ask("new")).toBe("new");
    visitor.socket.destroy();
    expect(await endingAt(address)).toBe("ECONNREFUSED");
  });
});

describe.each(MODES)("%s: an outage longer than the grace", (mode) => {
  it("resets both ends, turns visitors away at once, and then serves the same port again", async () => {
    await using service = await Service.start();
    const session = { graceMs: GRACE_MS };
    await using fixture = await TunnelFixture.start({ seed: 5, client: { session }, server: { session } });
    const tunnel = await fixture.open(mode, service.address, await freeAddress());
    const { address } = tunnel;
    const visitor = await WireEnd.connect(address);
    const target = await service.next();
    await fixture.takeAway();
    const late = await WireEnd.connect(address);
    expect(await visitor.closed()).toBe("ECONNRESET");
    expect(await target.closed()).toBe("ECONNRESET");
    expect(await late.closed()).toBe("ECONNRESET");
    await fixture.states.entered("connecting", 2);
    expect(fixture.states.causes("connecting")).toEqual([undefined, "session_expired"]);
    await until(() => fixture.server.sessions().length === 0, "the server has forgotten the session");
    // The client's listener stays and says at once that there is nobody; the server's went with the session.
    const turnedAway = mode === LISTEN ? "ECONNREFUSED" : "ECONNRESET";
    for (let n = 0; n < 3; n += 1) expect(await endingAt(address)).toBe(turnedAway);
    await fixture.restore();
    await until(() => tunnel.state === "ready", "the tunnel is back");
    expect(tunnel.address).toBe(address);
    const next = await WireEnd.connect(address);
    const again = await service.next();
    again.socket.end("served again");
    expect(await next.ended()).toBe("end");
    expect(next.text).toBe("served again");
    next.socket.destroy();
    expect(service.visitors).toHaveLength(2);
    expect(fixture.sessions).toBe(2);
  });

  it("delivers what had arrived whole with its end, and only that", async () => {
    await using service = await Service.start();
    const session = { graceMs: GRACE_MS };
    await using fixture = await TunnelFixture.start({ seed: 6, client: { session }, server: { session } });
    const tunnel = await fixture.open(mode, service.address);
    const visitor = await WireEnd.connect(tunnel.address);
    const target = await service.next();
    target.socket.end("the whole answer");
    expect(await visitor.ended()).toBe("end");
    await fixture.takeAway();
    expect(await target.closed()).toBe("ECONNRESET");
    expect(visitor.text).toBe("the whole answer");
    visitor.socket.destroy();
    await until(() => fixture.server.sessions().length === 0, "the session is over");
  });
});
