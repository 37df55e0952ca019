import type { Direction } from "@culvert/chaos";
import { CONNECT, LISTEN, type Mode } from "@culvert/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { freePort, NOBODY } from "../support/free-port.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { SeededSink } from "../support/seeded-sink.ts";
import { SeededSource } from "../support/seeded-source.ts";
import { Service } from "../support/service.ts";
import { MODES, type TunnelFixture } from "../support/tunnel-fixture.ts";
import { endingAt, WireEnd } from "../support/wire-end.ts";
import type { FrameType } from "./support/frame-lane.ts";
import { framed } from "./support/framed.ts";

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

/** Who sends a frame when the client listens, or the server does. */
function directionOf(sender: "listening" | "dialing", mode: Mode): Direction {
  return (sender === "listening") === (mode === CONNECT) ? "up" : "down";
}

/** What each side of a connection sends in the course of {@link lifeOf}, and how often. */
const FRAMES: readonly (readonly [sender: "listening" | "dialing", type: FrameType, times: number])[] = [
  ["listening", "open", 3],
  ["listening", "data", 2],
  ["listening", "end", 1],
  ["listening", "reset", 1],
  ["listening", "ack", 1],
  ["dialing", "accept", 2],
  ["dialing", "refuse", 1],
  ["dialing", "data", 2],
  ["dialing", "end", 1],
  ["dialing", "window", 1],
  ["dialing", "ack", 1],
];

interface Scene {
  readonly fixture: TunnelFixture;
  readonly service: Service;
  /** Of the tunnel to the service, and of the one to a port where nobody listens. */
  readonly address: string | undefined;
  readonly dead: string | undefined;
}

/** One connection that is answered and ends well, one that its visitor breaks, and one whose target is not there. */
async function lifeOf({ fixture, service, address, dead }: Scene): Promise<void> {
  const dialed = service.visitors.length;
  const whole = await WireEnd.connect(address);
  const sink = new SeededSink(whole.socket, 2);
  new SeededSource(whole.socket, 1, 20_000);
  const target = await service.next();
  const question = new SeededSink(target.socket, 1, target.bytes);
  expect(await question.whole).toBe(20_000);
  new SeededSource(target.socket, 2, 20_000);
  expect(await sink.whole).toBe(20_000);
  expect([await whole.closed(), await target.closed()]).toEqual(["end", "end"]);

  const breaks = await WireEnd.connect(address);
  breaks.socket.write("half of");
  const broken = await service.next();
  await broken.read(7);
  breaks.reset();
  expect(await broken.closed()).toBe("ECONNRESET");

  expect(await endingAt(dead)).toBe("ECONNRESET");
  await fixture.quiet();
  // Whatever was cut: each of them was dialed once.
  expect(service.visitors).toHaveLength(dialed + 2);
}

describe.each(MODES)("%s: cut at a frame", (mode) => {
  it("of each type, by its number, in front of it and behind it: one outcome, and one dial", async () => {
    await using service = await Service.start();
    await using link = await framed();
    const { fixture, proxy } = link;
    const tunnel = await fixture.open(mode, service.address);
    const nobody = await fixture.open(mode, NOBODY);
    const scene: Scene = { fixture, service, address: tunnel.address, dead: nobody.address };
    await lifeOf(scene);
    for (const [sender, type, times] of FRAMES) {
      for (let nth = 1; nth <= times; nth += 1) {
        for (const bytes of [0, undefined]) {
          const { cuts } = proxy;
          proxy.cutAt({ direction: directionOf(sender, mode), type, nth, ...(bytes === 0 ? { bytes } : {}) });
          await lifeOf(scene);
          // An acknowledgement may come a little later than what it acknowledges.
          await until(() => proxy.cuts > cuts, `a cut at the ${nth}. ${type} of the ${sender} side`);
          await fixture.states.reaches("open");
        }
      }
    }
    expect(fixture.sessions).toBe(1);
    expect(fixture.server.sessions()).toHaveLength(1);
  });
});

describe("cut at a frame of the handshake or of a resume", () => {
  it.each([
    ["up", "hello"],
    ["down", "welcome"],
  ] as const)("%s %s: the session goes on, each byte once", async (direction, type) => {
    await using service = await Service.echo();
    await using link = await framed();
    const { fixture, proxy } = link;
    for (const mode of MODES) {
      const tunnel = await fixture.open(mode, service.address);
      const { socket } = await WireEnd.connect(tunnel.address);
      const sink = new SeededSink(socket, 3);
      const source = new SeededSource(socket, 3);
      for (const bytes of [0, 1, 7, 60, undefined]) {
        const { received } = sink;
        await until(() => sink.received > received + 100_000, "bytes flow");
        const { cuts } = proxy;
        // Both said at once: the first attempt to resume comes at once, too.
        proxy.cutAt(
          { direction: "up", type: "data" },
          { direction, type, ...(bytes === undefined ? {} : { bytes }) },
        );
        await until(() => proxy.cuts > cuts + 1, "the link is cut, and the resume too");
        await fixture.states.reaches("open");
      }
      source.stop();
      expect(await sink.whole).toBe(await source.done);
    }
    expect(fixture.sessions).toBe(1);
    await fixture.quiet();
  });
});

describe("LISTEN: cut at a frame that opens or closes a tunnel", () => {
  it.each([
    ["up", "tunnelOpen"],
    ["down", "tunnelReady"],
    ["up", "tunnelClose"],
    ["down", "tunnelClosed"],
  ] as const)("%s %s: no listener is lost, and none is left", async (direction, type) => {
    await using service = await Service.echo();
    await using link = await framed();
    const { fixture, proxy } = link;
    const port = await freePort();
    for (const bytes of [0, 3, undefined]) {
      const { cuts } = proxy;
      proxy.cutAt({ direction, type, ...(bytes === undefined ? {} : { bytes }) });
      const tunnel = await fixture.open(LISTEN, service.address, `127.0.0.1:${port}`);
      expect(tunnel).toMatchObject({ state: "ready", address: `tcp://127.0.0.1:${port}` });
      const visitor = await WireEnd.connect(tunnel.address);
      expect(await visitor.ask("open?")).toBe("open?");
      visitor.socket.destroy();
      await tunnel.close();
      await until(() => fixture.server.sessions()[0]?.tunnels.length === 0, "the server has closed it");
      expect(await endingAt(`127.0.0.1:${port}`)).toBe("ECONNREFUSED");
      await until(() => proxy.cuts > cuts, "the cut has come");
      await fixture.states.reaches("open");
    }
    expect(fixture.sessions).toBe(1);
  });
});

/** More than 65,535 bytes of payload: the length takes 64 bits, and with the mask the header is 14 bytes long. */
const LONG = { maxPayloadBytes: 65_536 };

describe("cut within a frame whose length takes 64 bits", () => {
  it.each(["up", "down"] as const)(
    "%s: in each byte of its header, and anywhere in its payload",
    async (direction) => {
      await using service = await Service.start();
      await using link = await framed(LONG);
      const { fixture, proxy } = link;
      // The visitor's side sends: the client when it listens.
      const tunnel = await fixture.open(direction === "up" ? CONNECT : LISTEN, service.address);
      const visitor = await WireEnd.connect(tunnel.address);
      const target = await service.next();
      visitor.keepsNothing();
      target.keepsNothing();
      const sink = new SeededSink(target.socket, 4);
      const source = new SeededSource(visitor.socket, 4);
      const offsets = [...Array.from({ length: 14 }, (_, n) => n + 1), 15, 100, 4097, 40_000, 65_560];
      for (const bytes of offsets) {
        const { cuts } = proxy;
        const { resumes } = fixture;
        proxy.cutAt({ direction, type: "data", minBytes: 65_536, bytes });
        await until(() => proxy.cuts > cuts, `a cut after ${bytes} bytes`);
        await until(() => fixture.resumes > resumes, "the resume");
        const { received } = sink;
        await until(() => sink.received > received, "bytes flow again");
      }
      source.stop();
      expect(await sink.whole).toBe(await source.done);
      target.socket.end();
      expect(fixture.sessions).toBe(1);
      await fixture.quiet();
    },
  );
});
