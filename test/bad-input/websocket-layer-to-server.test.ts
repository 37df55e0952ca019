import type { Socket } from "node:net";
import { Server } from "@culvert/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeData, encodeNote, encodePing, FRAME } from "../../packages/protocol/src/frame.ts";
import { until } from "../support/deadline.ts";
import { RawClient, upgraded } from "./support/raw-client.ts";
import type { CloseCode } from "./support/raw-web-socket.ts";
import { Siege } from "./support/siege.ts";
import { closeBytes, frameBytes, OPCODE } from "./support/web-socket-bytes.ts";

const NOTHING = new Uint8Array(0);
const BYTE = Uint8Array.of(1);

let siege: Siege;
beforeAll(async () => {
  siege = await Siege.start();
});
afterAll(() => siege[Symbol.asyncDispose]());

/** Each with the close code that it gets, wherever in the life of a transport it comes. */
const BAD_BYTES: readonly (readonly [id: string, words: string, bytes: Buffer, code: CloseCode])[] = [
  ["A12", "a frame without a mask", frameBytes(encodePing(1), { masked: false }), 1002],
  ["A13", "opcode 3", frameBytes(NOTHING, { opcode: 3 }), 1002],
  ["A13", "opcode 11", frameBytes(NOTHING, { opcode: 11 }), 1002],
  ["A14", "a compressed frame (RSV1)", frameBytes(BYTE, { rsv: 0x40 }), 1002],
  ["A14", "RSV2 and RSV3", frameBytes(BYTE, { rsv: 0x30 }), 1002],
  ["A16", "text that is not UTF-8", frameBytes(Uint8Array.of(0xc3, 0x28), { opcode: OPCODE.text }), 1007],
  ["A17", "a message of 131,073 bytes", frameBytes(new Uint8Array(131_073)), 1009],
  [
    "A17",
    "a message of 131,073 bytes in two fragments",
    Buffer.concat([
      frameBytes(new Uint8Array(131_072), { fin: false }),
      frameBytes(BYTE, { opcode: OPCODE.continuation }),
    ]),
    1009,
  ],
  ["A18, T31", "a length of 2^31, and nothing behind it", frameBytes(NOTHING, { length: 2n ** 31n }), 1009],
  ["A18, T31", "a length of 2^53 + 1", frameBytes(NOTHING, { length: 2n ** 53n + 1n }), 1009],
  ["A18, T31", "a length of 2^63", frameBytes(NOTHING, { length: 2n ** 63n }), 1009],
  ["A18, T31", "a length of 2^64 - 1", frameBytes(NOTHING, { length: 2n ** 64n - 1n }), 1009],
  ["A19", "a ping of 126 bytes", frameBytes(new Uint8Array(126), { opcode: OPCODE.ping }), 1002],
  ["A19", "a ping in fragments", frameBytes(BYTE, { opcode: OPCODE.ping, fin: false }), 1002],
  ["A20", "a continuation of nothing", frameBytes(BYTE, { opcode: OPCODE.continuation }), 1002],
  [
    "A20",
    "a message within a message",
    Buffer.concat([frameBytes(BYTE, { fin: false }), frameBytes(BYTE)]),
    1002,
  ],
  [
    "A21",
    "17 fragments",
    Buffer.concat([
      frameBytes(NOTHING, { fin: false }),
      ...Array.from({ length: 17 }, () => frameBytes(BYTE, { opcode: OPCODE.continuation, fin: false })),
    ]),
    1008,
  ],
  ["A22", "close code 1005", closeBytes(1005), 1002],
  ["A22", "close code 999", closeBytes(999), 1002],
  ["A22", "a close with half a code", closeBytes(BYTE), 1002],
  ["A22", "a close with a reason that is not UTF-8", closeBytes(Uint8Array.of(3, 0xe8, 0xff)), 1007],
  [
    "A24",
    "a message behind a close frame",
    Buffer.concat([closeBytes(1000), frameBytes(encodePing(1))]),
    1000,
  ],
];

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
      const fragment = frameBytes(NOTHING, { opcode: OPCODE.continuation, fin: false });
      const many = Buffer.concat(Array.from({ length: 10_000 }, () => fragment));
      client.web.write(frameBytes(NOTHING, { fin: false }));
      for (let n = 0; n < 100; n += 1) client.web.write(many);
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
