import type { Socket } from "node:net";
import { Server } from "@culvert/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeData, encodeNote, FRAME } from "../../packages/protocol/src/frame.ts";
import { until } from "../support/deadline.ts";
import { badBytes, fragments } from "./support/bad-bytes.ts";
import { RawClient, upgraded } from "./support/raw-client.ts";
import { Siege } from "./support/siege.ts";
import { frameBytes, OPCODE } from "./support/web-socket-bytes.ts";

const NOTHING = new Uint8Array(0);
const BYTE = Uint8Array.of(1);

let siege: Siege;
beforeAll(async () => {
  siege = await Siege.start();
});
afterAll(() => siege[Symbol.asyncDispose]());

const BAD_BYTES = badBytes(true);

describe("4.A: before HELLO", () => {
  test.each(BAD_BYTES)("%s %s", async (_id, _words, bytes, code) => {
    await siege.witness.during(async () => {
      using web = await upgraded(siege.port);
      web.write(bytes);
      expect(await web.closed).toBe(code);
      expect(siege.others).toEqual([]);
    });
  });

  test("A15 a text message", async () => {
    using web = await upgraded(siege.port);
    web.write(frameBytes(Buffer.from("{}"), { opcode: OPCODE.text }));
    expect(JSON.parse((await web.nextOf(FRAME.reject)).subarray(1).toString())).toEqual({
      code: "text_message",
    });
    expect(await web.closed).toBe(4400);
  });
});

describe("4.A: in a session, which is detached and can be resumed", () => {
  test.each(BAD_BYTES)("%s %s", async (_id, _words, bytes, code) => {
    await siege.witness.during(async () => {
      using client = await RawClient.open(siege.port);
      client.send(encodeNote("counted"));
      client.web.write(bytes);
      expect(await client.farewell()).toEqual({ code: undefined, close: code });
      await until(() => siege.others[0] === "detached", "the session is detached");
      await goesOn(client, 1);
    });
  });

  test("A15 a text message ends the session", async () => {
    using client = await RawClient.open(siege.port);
    client.web.write(frameBytes(Buffer.from("hello"), { opcode: OPCODE.text }));
    expect(await client.farewell()).toEqual({ code: "text_message", close: 4400 });
    expect(siege.others).toEqual([]);
  });

  test.each([
    ["A23", "a frame that is cut off, then an end", (socket: Socket) => void socket.end()],
    ["A23", "a frame that is cut off, then a reset", (socket: Socket) => void socket.resetAndDestroy()],
  ])("%s %s: it is not counted", async (_id, _words, leave) => {
    await siege.witness.during(async () => {
      using client = await RawClient.open(siege.port);
      client.send(encodeNote("counted"));
      await client.answers();
      const cut = frameBytes(encodeNote("not counted"));
      client.web.write(cut.subarray(0, cut.length - 1));
      await client.web.flushed();
      leave(client.web.socket);
      await until(() => siege.others[0] === "detached", "the session is detached");
      await goesOn(client, 1);
    });
  });

  test("A27 two messages in one segment, and one in many", async () => {
    using client = await RawClient.open(siege.port);
    client.send(encodeNote("one"), encodeNote("two"));
    await client.answers();
    const note = frameBytes(encodeNote("x".repeat(100)));
    for (const byte of note) {
      client.web.write(Uint8Array.of(byte));
      await client.web.flushed();
    }
    await client.answers();
    client.web.reset();
    await until(() => siege.others[0] === "detached", "the session is detached");
    await goesOn(client, 3);
  });
});

describe("3.3: floods below the frames", () => {
  test("T32 1,000,000 empty fragments", async () => {
    await siege.witness.during(async () => {
      using client = await RawClient.open(siege.port);
      for (let n = 0; n < 100; n += 1) client.web.write(fragments(true, NOTHING, 10_000));
      expect((await client.farewell()).close).toBe(1008);
      await goesOn(client, 0);
    });
  });

  test("T30 a HELLO, and the head of a frame, byte after byte: cut at the deadline", async () => {
    await using hurried = new Server({ port: 0, handshakeTimeoutMs: 200 });
    await hurried.start();
    for (const bytes of [
      frameBytes(encodeNote("x".repeat(500))),
      frameBytes(NOTHING, { length: 2n ** 16n }),
    ]) {
      using web = await upgraded(hurried.address?.port ?? 0);
      const dribble = bytes.values();
      const timer = setInterval(() => web.write(Uint8Array.of(dribble.next().value ?? 0)), 5);
      expect(JSON.parse((await web.nextOf(FRAME.reject)).subarray(1).toString())).toEqual({
        code: "handshake_timeout",
      });
      expect(await web.closed).toBe(4408);
      clearInterval(timer);
    }
  });

  test("T32 200 connections with half a frame each, one byte a segment: a client gets in meanwhile", async () => {
    const webs = await Promise.all(Array.from({ length: 200 }, () => upgraded(siege.port)));
    const head = frameBytes(NOTHING, { length: 131_072n });
    for (let n = 0; n < head.length + 50; n += 1) {
      for (const web of webs) web.write(Uint8Array.of(head[n] ?? 0));
      await webs[0]?.flushed();
    }
    await siege.witness.during(async () => {
      using client = await RawClient.open(siege.port);
      client.send(encodeData(1, 0, BYTE));
      expect(await client.farewell()).toEqual({ code: "unknown_stream", close: 4400 });
    });
    for (const web of webs) web.reset();
    await Promise.all(webs.map(({ closed }) => closed));
  });
});

/** The session is resumed, with so many frames processed; then it ends. */
async function goesOn(client: RawClient, processed: number): Promise<void> {
  using again = await client.resumed(siege.port, 1);
  expect(again.welcome.received).toBe(processed);
  await again.answers();
  again.send(Uint8Array.of(FRAME.close, 0, 0));
  expect(await again.farewell()).toEqual({ code: undefined, close: 1000 });
  expect(siege.others).toEqual([]);
}
