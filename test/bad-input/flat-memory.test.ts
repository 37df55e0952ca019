import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  encodeClose,
  encodeData,
  encodeNote,
  encodeOpen,
  encodePing,
  encodeReset,
  encodeWindow,
  FRAME,
} from "../../packages/protocol/src/frame.ts";
import { figuresOf, MIB } from "../e2e/support/process-figures.ts";
import { until } from "../support/deadline.ts";
import { Forked } from "../support/forked.ts";
import { MuteListener } from "../support/mute-listener.ts";
import { Service } from "../support/service.ts";
import { Attacker, type Field } from "./support/attacker.ts";
import { badBytes, fragments } from "./support/bad-bytes.ts";
import { FRAME_ROWS, LIMITS } from "./support/frame-rows.ts";
import { HostileServer } from "./support/hostile-server.ts";
import { RawClient, upgraded } from "./support/raw-client.ts";

/** What a process may hold more when nothing of the input is there any more: compiled code, pools, its own books. */
const MOST_LEFT_BYTES = 4 * MIB;
/** And what it may take while it lasts: as in T32. */
const MOST_DURING_BYTES = 50 * MIB;

let server: Forked;
let echo: Service;
let mute: MuteListener;
let field: Field;
beforeAll(async () => {
  server = Forked.start("../bad-input/support/besieged-process.ts", {
    server: { port: 0, maxUpgradesPerSecond: 1_000_000, session: { ...LIMITS, graceMs: 1 } },
  });
  echo = await Service.start((visitor) => {
    visitor.keepsNothing();
    visitor.socket.on("data", (chunk: Buffer) => {
      if (chunk.toString() === "reset") visitor.reset();
      else visitor.socket.write(chunk);
    });
    visitor.socket.on("end", () => visitor.socket.end());
  });
  echo.forgets();
  mute = await MuteListener.start();
  field = { port: await server.ask<number>("serve"), echo: echo.address, mute: mute.address };
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await echo[Symbol.asyncDispose]();
  await mute[Symbol.asyncDispose]();
});

const memoryOf = (process: Forked): Promise<number> => process.ask<number>("memory");

/** What the server holds when nobody is there any more. */
async function settled(): Promise<number> {
  await until(async () => (await server.ask<number>("guests")) === 0, "nobody is left");
  return await memoryOf(server);
}

/** A session with stream 1 open and 3 forgotten. */
async function attacker(): Promise<Attacker> {
  const one = new Attacker(await RawClient.open(field.port), field);
  await one.open(1);
  await one.open(3);
  one.send(encodeReset(3, "closed"));
  await one.client.frame(FRAME.reset);
  return one;
}

/** One that does this and is gone. */
async function session(act: (attacker: Attacker) => unknown): Promise<void> {
  const one = await attacker();
  using client = one.client;
  await act(one);
  client.send(encodeClose("closed"));
  await client.farewell();
}

describe("4.A, 4.B: the memory of a server", () => {
  test("every row of the tables, again and again, leaves nothing behind", async () => {
    const round = async (): Promise<void> => {
      for (const { play } of FRAME_ROWS) await session(play);
      for (const [, , bytes] of badBytes(true)) {
        using web = await upgraded(field.port);
        web.write(bytes);
        await web.closed;
      }
    };
    for (let n = 0; n < 3; n += 1) await round();
    const before = await settled();
    for (let n = 0; n < 10; n += 1) await round();
    expect((await settled()) - before).toBeLessThan(MOST_LEFT_BYTES);
  });

  /** Each sent 100 times, by a peer that reads nothing; the server may end the session for it. */
  const FLOODS: readonly (readonly [id: string, words: string, burst: readonly Uint8Array[]])[] = [
    ["B34, T36", "100,000 PINGs", Array.from({ length: 1000 }, (_, n) => encodePing(n))],
    ["B28, T36", "100,000 WINDOWs", Array.from({ length: 1000 }, () => encodeWindow(1, 10_000))],
    [
      "B14",
      "100,000 DATA without payload",
      Array.from({ length: 1000 }, () => encodeData(1, 0, new Uint8Array(0))),
    ],
    [
      "B28",
      "100,000 RESETs of a forgotten stream",
      Array.from({ length: 1000 }, () => encodeReset(3, "closed")),
    ],
    ["B10", "100,000 frames to be ignored", Array.from({ length: 1000 }, () => Uint8Array.of(0x8f))],
    ["T50", "10,000 NOTEs of 1 KiB", Array.from({ length: 100 }, () => encodeNote("x".repeat(1024)))],
  ];
  test.each(FLOODS)("%s %s", async (_id, _words, burst) => {
    const before = await settled();
    const { rssBytes } = figuresOf(server.pid);
    using client = (await attacker()).client;
    client.web.socket.pause();
    for (let n = 0; n < 100; n += 1) {
      client.send(...burst);
      // As fast as the server takes it, and no faster: what waits here is not the server's.
      if (client.web.socket.writableLength > MIB) await client.web.flushed().catch(() => undefined);
    }
    expect(figuresOf(server.pid).rssBytes - rssBytes).toBeLessThan(MOST_DURING_BYTES);
    client.web.reset();
    expect((await settled()) - before).toBeLessThan(MOST_LEFT_BYTES);
  });

  test("T35 10,000 streams that are opened and reset at once", async () => {
    const before = await settled();
    const { rssBytes } = figuresOf(server.pid);
    using client = await RawClient.open(field.port);
    for (let n = 0; n < 10_000 && !client.web.socket.destroyed; n += 1) {
      client.send(
        encodeOpen(2 * n + 1, { kind: "tcp", target: field.mute }),
        encodeReset(2 * n + 1, "cancelled"),
      );
    }
    client.send(encodePing(1));
    await client.farewell();
    expect(figuresOf(server.pid).rssBytes - rssBytes).toBeLessThan(MOST_DURING_BYTES);
    expect((await settled()) - before).toBeLessThan(MOST_LEFT_BYTES);
  });

  test("T31, T32 connections that announce much and send little", async () => {
    const before = await settled();
    const { rssBytes } = figuresOf(server.pid);
    const webs = await Promise.all(Array.from({ length: 200 }, () => upgraded(field.port)));
    // The largest message that is taken, in the largest number of pieces, without its last byte.
    const almost = fragments(true, new Uint8Array(8000), 15);
    for (const web of webs) web.write(almost);
    await Promise.all(webs.map((web) => web.flushed()));
    expect(figuresOf(server.pid).rssBytes - rssBytes).toBeLessThan(MOST_DURING_BYTES + 200 * 131_072);
    for (const web of webs) web.reset();
    await Promise.all(webs.map(({ closed }) => closed));
    expect((await settled()) - before).toBeLessThan(MOST_LEFT_BYTES);
  });
});

describe("4.A, 4.B: the memory of a client", () => {
  test("1,000 PINGs, a note and a violation, again and again, leave nothing behind", async () => {
    await using hostile = await HostileServer.start();
    const retry = { baseMs: 1, capMs: 2, resumableCapMs: 2 };
    await using client = Forked.start("../bad-input/support/besieged-process.ts", {
      client: { server: hostile.url, name: "besieged", retry },
    });
    await client.ask("dial");
    const flood = Array.from({ length: 1000 }, (_, n) => encodePing(n));
    const play = async (): Promise<void> => {
      const peer = await hostile.session();
      peer.send(...flood, encodeNote("x".repeat(1024)));
      peer.send(encodeData(1, 0, Uint8Array.of(1)));
      expect(await peer.farewell()).toMatchObject({ code: expect.any(String) });
    };
    for (let n = 0; n < 50; n += 1) await play();
    const before = await memoryOf(client);
    for (let n = 0; n < 300; n += 1) await play();
    expect((await memoryOf(client)) - before).toBeLessThan(MOST_LEFT_BYTES);
  });
});
