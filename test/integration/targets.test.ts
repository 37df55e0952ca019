import type { LookupFunction } from "node:net";
import { CONNECT, LISTEN } from "@culvert/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { freePort, NOBODY } from "../support/free-port.ts";
import type { LogRecorder } from "../support/log-recorder.ts";
import { MuteListener } from "../support/mute-listener.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { SeededSink } from "../support/seeded-sink.ts";
import { SeededSource } from "../support/seeded-source.ts";
import { Service } from "../support/service.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";
import { MODES, TunnelFixture } from "../support/tunnel-fixture.ts";
import { endingAt, WireEnd } from "../support/wire-end.ts";

const MEGABYTE = 1024 * 1024;
/** For targets that never answer, and for nobody who does. */
const TIMES = { dialTimeoutMs: 300 };

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

/** A resolver that knows one name is no name of anybody, and says so at once. */
const lookup = ((_name: string, _options: unknown, done: (error: Error) => void) =>
  done(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }))) as unknown as LookupFunction;

/** The logs of the side that dials and of the side that the visitor came to. */
function logsOf(fixture: TunnelFixture, mode: string): { dialing: LogRecorder; listening: LogRecorder } {
  const { clientLog, serverLog } = fixture;
  return mode === CONNECT
    ? { dialing: serverLog, listening: clientLog }
    : { dialing: clientLog, listening: serverLog };
}

/** Targets that cannot be had, with the code that says why. */
const FAILURES: [code: string, target: (folder: TemporaryFolder) => Promise<string>][] = [
  ["target_refused", async () => NOBODY],
  // TCP to a multicast address has no route anywhere.
  ["target_unreachable", async () => "224.0.0.1:80"],
  ["target_unreachable", async (folder) => folder.socket()],
  ["target_unresolvable", async () => "no-such-name.invalid:80"],
];

describe.each(MODES)("%s", (mode) => {
  it.each(FAILURES)("%s: the visitor is reset, and both logs have the code", async (code, target) => {
    using folder = new TemporaryFolder();
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start({ server: { lookup }, client: { lookup } });
    const address = await target(folder);
    const tunnel = await fixture.open(mode, address);
    const good = await fixture.open(mode, service.address);
    expect(await endingAt(tunnel.address)).toBe("ECONNRESET");
    const { dialing, listening } = logsOf(fixture, mode);
    expect(dialing.find({ code, message: "stream refused" })).toHaveLength(1);
    await until(() => listening.find({ code, message: "visitor reset" }).length === 1, "the code is logged");
    // Nothing but that one visitor is hurt.
    const visitor = await WireEnd.connect(good.address);
    expect(await visitor.ask("still there?")).toBe("still there?");
    visitor.socket.destroy();
    expect(await endingAt(tunnel.address)).toBe("ECONNRESET");
    await fixture.quiet();
    await until(() => refusedBy(fixture, mode, tunnel.address) === 2, "both are counted");
    expect(fixture.states.path).toEqual(["connecting", "open"]);
  });

  it("a target that never answers is given up at the limit, and holds up nobody", async () => {
    await using mute = await MuteListener.start();
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start({ server: TIMES, client: TIMES });
    const tunnel = await fixture.open(mode, mute.address);
    const good = await fixture.open(mode, service.address);
    const endings = Promise.all(Array.from({ length: 5 }, () => endingAt(tunnel.address)));
    const visitor = await WireEnd.connect(good.address);
    expect(await visitor.ask("meanwhile")).toBe("meanwhile");
    expect(await endings).toEqual(Array.from({ length: 5 }, () => "ECONNRESET"));
    expect(logsOf(fixture, mode).dialing.find({ code: "target_timeout" })).toHaveLength(5);
    visitor.socket.destroy();
    await fixture.quiet();
  });

  it("a resolver that never answers is given up too", async () => {
    const side = { ...TIMES, lookup: () => undefined };
    await using fixture = await TunnelFixture.start(mode === CONNECT ? { server: side } : { client: side });
    const tunnel = await fixture.open(mode, "slow.example:80");
    expect(await endingAt(tunnel.address)).toBe("ECONNRESET");
    expect(logsOf(fixture, mode).dialing.find({ code: "target_timeout" })).toHaveLength(1);
  });

  it("a visitor who leaves while the target is dialed ends the dial", async () => {
    await using mute = await MuteListener.start();
    await using fixture = await TunnelFixture.start();
    const tunnel = await fixture.open(mode, mute.address);
    const visitor = await WireEnd.connect(tunnel.address);
    const dialing = (): number | undefined =>
      mode === CONNECT
        ? fixture.server.sessions()[0]?.dialing.dialing
        : (tunnel.stats() as { readonly dialing?: number }).dialing;
    await until(() => dialing() === 1, "the target is dialed");
    visitor.reset();
    await until(() => dialing() === 0, "the dial is given up");
    await fixture.quiet();
  });

  it("what the visitor says before the target answered reaches it first", async () => {
    await using service = await Service.start();
    await using fixture = await TunnelFixture.start();
    const tunnel = await fixture.open(mode, service.address);
    const visitor = await WireEnd.connect(tunnel.address);
    visitor.socket.write("first, ");
    visitor.socket.end("and last");
    const target = await service.next();
    expect(await target.ended()).toBe("end");
    expect(target.text).toBe("first, and last");
    target.socket.end();
    expect(await visitor.closed()).toBe("end");
  });

  it("a megabyte that was sent while the target's name was being looked up arrives whole, with its end", async () => {
    await using service = await Service.start();
    const port = Number(service.address.split(":").at(-1));
    let answer: (() => void) | undefined;
    const lookup = (
      _name: string,
      _options: unknown,
      done: (error: null, addresses: { address: string; family: number }[]) => void,
    ): void => {
      answer = () => done(null, [{ address: "127.0.0.1", family: 4 }]);
    };
    const side = { lookup: lookup as never };
    await using fixture = await TunnelFixture.start(mode === CONNECT ? { server: side } : { client: side });
    const tunnel = await fixture.open(mode, `slow.example:${port}`);
    const visitor = await WireEnd.connect(tunnel.address);
    new SeededSource(visitor.socket, 1, MEGABYTE);
    await until(() => answer !== undefined, "the name is looked up");
    answer?.();
    const target = await service.next();
    await target.ended();
    const sink = new SeededSink(target.socket, 1, target.bytes);
    expect(await sink.whole).toBe(MEGABYTE);
    target.socket.end();
    expect(await visitor.closed()).toBe("end");
  });

  it("a target that breaks before it has read anything is a reset, never an end", async () => {
    await using service = await Service.start(({ socket }) => socket.resetAndDestroy());
    await using fixture = await TunnelFixture.start();
    const tunnel = await fixture.open(mode, service.address);
    for (let n = 0; n < 20; n += 1) {
      const visitor = await WireEnd.connect(tunnel.address);
      visitor.socket.write(Buffer.alloc(1 + n * 10_000));
      expect(["ECONNRESET", "EPIPE"]).toContain(await visitor.closed());
    }
    await fixture.quiet();
  });

  it("a target that comes up later is served: nothing is remembered against it", async () => {
    const port = await freePort();
    await using fixture = await TunnelFixture.start();
    const tunnel = await fixture.open(mode, `127.0.0.1:${port}`);
    expect(await endingAt(tunnel.address)).toBe("ECONNRESET");
    await using _service = await Service.echo(`127.0.0.1:${port}`);
    const visitor = await WireEnd.connect(tunnel.address);
    expect(await visitor.ask("now?")).toBe("now?");
    visitor.socket.destroy();
  });
});

/** Streams that the dialing end refused, by its own count. */
function refusedBy(fixture: TunnelFixture, mode: string, address: string | undefined): number | undefined {
  if (mode === CONNECT) return fixture.server.sessions()[0]?.dialing.refused;
  const tunnel = fixture.client.tunnels.find((one) => one.mode === LISTEN && one.address === address);
  return (tunnel?.stats() as { readonly refused?: number } | undefined)?.refused;
}
