import { ERRORS, type ErrorCode, SESSION_DEFAULTS } from "@culvert/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  encodeAccept,
  encodeAck,
  encodeClose,
  encodeData,
  encodeEnd,
  encodeGoaway,
  encodeNote,
  encodeOpen,
  encodePing,
  encodePong,
  encodeRefuse,
  encodeRelease,
  encodeReset,
  encodeTunnelClose,
  encodeTunnelClosed,
  encodeTunnelOpen,
  encodeTunnelReady,
  encodeWindow,
  FRAME,
} from "../../packages/protocol/src/frame.ts";
import { bytes, concat } from "../../packages/protocol/test/support/hex.ts";
import { readVectors, spelled } from "../../packages/protocol/test/support/vector-file.ts";
import { CLIENT_LIMITS, ClientScene, type Scene } from "./support/client-scene.ts";
import { Siege } from "./support/siege.ts";

/** An honest server with a witness: what one client hears must not disturb another one in the same process. */
let siege: Siege;
let stage: ClientScene;
beforeAll(async () => {
  siege = await Siege.start();
  stage = await ClientScene.start();
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await siege[Symbol.asyncDispose]();
});

const BYTE = Uint8Array.of(0);
const MAX = Number.MAX_SAFE_INTEGER;
const WINDOW = SESSION_DEFAULTS.initialWindowBytes;
const tunnel = { kind: "tcp", tunnelId: 1 } as const;
const text = (s: string): Uint8Array => new TextEncoder().encode(s);

type Row = readonly [id: string, words: string, ...frames: Uint8Array[]];

/** See {@link Scene}: 1 is open and 3 asked by the client, 2 is open by the server, tunnel 1 is ready. */
const VIOLATIONS: Readonly<Partial<Record<ErrorCode, readonly Row[]>>> = {
  bad_frame: [
    ["B1", "an empty message", new Uint8Array(0)],
    ["B1", "a message shorter than its head", bytes("04 0000")],
    ["B12", "a byte behind the last field", concat([encodeEnd(1, 0), BYTE])],
    ["B23", "OPEN with an escape in the visitor", bytes("01 000000000004 01 03 0002 1b5b")],
    ["B28, T37", "WINDOW of 2^64 - 1", bytes("07 000000000001 ffffffffffffffff")],
    ["B34", "PING with a token of 5 bytes", bytes("43 0000000000")],
    ["B36", "TUNNEL_READY without an address", bytes("09 00000001")],
  ],
  unknown_frame: [
    ["B9", "an unknown type that may not be ignored", bytes("3f 00")],
    ["B9", "a datagram, which version 1 does not have", bytes("46 00")],
  ],
  frame_too_large: [
    ["B13", "DATA of 65,537 bytes", encodeData(1, 0, new Uint8Array(65_537))],
    ["B13", "NOTE of 1,025 bytes", concat([bytes("0c"), new Uint8Array(1025)])],
  ],
  unexpected_frame: [
    ["B4", "a second WELCOME", concat([bytes("41"), text("{}")])],
    ["B4", "a REJECT", concat([bytes("42"), text('{"code":"closed"}')])],
    ["B4", "a HELLO", concat([bytes("40"), text("{}")])],
    ["B18", "DATA after END", encodeEnd(2, 0), encodeData(2, 0, BYTE)],
    ["B18", "END after RESET", encodeReset(2, "closed"), encodeEnd(2, 0)],
    ["B27", "ACCEPT for an answered stream", encodeAccept(1)],
    ["B27", "ACCEPT for the server's own stream", encodeAccept(2)],
    ["B27", "REFUSE for an answered stream", encodeRefuse(1, "forbidden")],
    ["B27", "DATA before ACCEPT", encodeData(3, 0, BYTE)],
    ["B27", "END before ACCEPT", encodeEnd(3, 0)],
    ["B38", "TUNNEL_READY again", encodeTunnelReady(1, "tcp://127.0.0.1:4712")],
    ["B38", "TUNNEL_READY that nobody asked for", encodeTunnelReady(9, "tcp://127.0.0.1:1")],
    ["B38", "TUNNEL_CLOSED that nobody asked for", encodeTunnelClosed(9, "closed")],
    ["B38", "TUNNEL_CLOSE for what never was", encodeTunnelClose(1)],
  ],
  unknown_stream: [
    ["B15", "DATA on stream 0", encodeData(0, 0, BYTE)],
    ["B16", "DATA on a stream that was never opened", encodeData(4, 0, BYTE)],
    ["B16", "DATA on a stream of the client that was never opened", encodeData(5, 0, BYTE)],
    ["B27", "ACCEPT for a stream that was never opened", encodeAccept(99)],
    ["B27", "REFUSE for a stream that was never opened", encodeRefuse(99, "forbidden")],
    ["B28", "WINDOW for a stream that was never opened", encodeWindow(5, 9000)],
    ["B28", "RESET for a stream that was never opened", encodeReset(5, "closed")],
  ],
  bad_stream_id: [
    ["B19, T39", "OPEN with the client's parity", encodeOpen(5, tunnel)],
    ["B19, T39", "OPEN with id 0", encodeOpen(0, tunnel)],
    ["B19, T39", "OPEN with the id of an open stream", encodeOpen(2, tunnel)],
    ["B19, T39", "OPEN with a lower id", encodeOpen(8, tunnel), encodeOpen(6, tunnel)],
  ],
  bad_window: [
    ["B28, T37", "WINDOW of 0", encodeWindow(1, 0)],
    ["B28, T37", "WINDOW that shrinks", encodeWindow(1, 9_000_000), encodeWindow(1, 8_999_999)],
    ["B28, T37", "RELEASE of more than was granted", encodeRelease(1, 9_000_000)],
  ],
  window_exceeded: [
    ["B29, T38", "DATA over the window by a byte", encodeData(2, 0, new Uint8Array(WINDOW + 1))],
    ["B29, T38", "DATA over the window by far", encodeData(1, 0, new Uint8Array(65_536))],
  ],
  bad_ack: [
    ["B30", "ACK beyond what was sent", encodeAck(1000)],
    ["B30, T48", "ACK of 2^53 - 1", encodeAck(MAX)],
  ],
  offset_mismatch: [
    ["B31", "DATA with a wrong offset", encodeData(1, 1, BYTE)],
    ["B31", "END with a wrong total", encodeEnd(2, 1)],
    ["B31, T48", "END with a total of 2^53 - 1", encodeEnd(1, MAX)],
  ],
  limit_exceeded: [
    [
      "B20",
      "OPEN above the stream limit",
      ...Array.from({ length: (CLIENT_LIMITS.maxStreams ?? 0) + 1 }, (_, n) => encodeOpen(2 * n + 4, tunnel)),
    ],
    ["B36", "TUNNEL_OPEN, of which a client takes none", encodeTunnelOpen(1, "tcp://127.0.0.1:0", "")],
  ],
};

const ROWS = Object.entries(VIOLATIONS).flatMap(([code, rows]) =>
  rows.map(([id, words, ...frames]) => [id, words, code as ErrorCode, frames] as const),
);

const LEGAL: readonly Row[] = [
  ["B10", "unknown types that may be ignored", bytes("8f 01"), bytes("c7"), bytes("bf"), bytes("ff")],
  ["B14", "DATA without payload", encodeData(1, 0, bytes("")), encodeData(2, 0, bytes(""))],
  ["B28", "WINDOW without gain", encodeWindow(1, 8192), encodeWindow(1, 8192)],
  ["B28, T37", "RELEASE of nothing, and of what was long ago", encodeRelease(1, 8192), encodeRelease(2, 0)],
  ["B28, T37", "WINDOW of 2^53 - 1", encodeWindow(1, MAX), encodeWindow(2, MAX)],
  ["B30", "ACK again and backwards", encodeAck(1), encodeAck(0), encodeAck(1)],
  ["B35", "PONG that nobody asked for", encodePong(0), encodePong(2 ** 32 - 1)],
  ["B34", "50 PINGs at once", ...Array.from({ length: 50 }, (_, n) => encodePing(1_000_000 + n))],
  ["B27", "RESET twice, for a stream without an answer", encodeReset(3, "closed"), encodeReset(3, "closed")],
  ["T49", "a NOTE that steers terminals", encodeNote("\u001b]0;x\u0007\r\n\u202e{}")],
  ["T49", "codes of the future", bytes("03 000000000003 7fff")],
];

const REFUSED: readonly (readonly [id: string, words: string, open: Uint8Array, code: ErrorCode])[] = [
  ["B21", "OPEN of a kind that version 1 does not have", bytes("01 000000000004 02"), "not_accepted"],
  [
    "B21",
    "OPEN for a target of the server's choice",
    encodeOpen(4, { kind: "tcp", target: "127.0.0.1:22" }),
    "not_accepted",
  ],
  [
    "B21",
    "OPEN for a tunnel, and for a target of the server's choice",
    encodeOpen(4, { ...tunnel, target: "127.0.0.1:22" }),
    "not_accepted",
  ],
  ["B21", "OPEN for nothing", encodeOpen(4, { kind: "tcp" }), "not_accepted"],
  [
    "B38",
    "OPEN for a tunnel that the client did not ask for",
    encodeOpen(4, { kind: "tcp", tunnelId: 2 }),
    "unknown_tunnel",
  ],
  [
    "B38",
    "OPEN for tunnel 2^32 - 1",
    encodeOpen(4, { kind: "tcp", tunnelId: 2 ** 32 - 1 }),
    "unknown_tunnel",
  ],
];

describe("4.B: a server's frames that break a rule: the session ends, and the client makes another one", () => {
  test.each(ROWS)("%s %s: %s", async (_id, _words, code, frames) => {
    await siege.witness.during(async () => {
      const scene = await stage.set();
      scene.peer.send(...frames);
      await stage.mustEnd(scene, code);
    });
  });

  const REJECTS = readVectors("rejects.json").vectors;
  test.each(REJECTS.map(({ name, message, code }) => [name, code, message] as const))(
    "B12 vector: %s: %s",
    async (_name, code, message) => {
      const peer = await stage.hostile.session();
      peer.send(spelled(message));
      expect((await peer.farewell()).code).toBe(code);
    },
  );
});

describe("4.B: a server's frames that are odd: the session goes on", () => {
  test.each(LEGAL.map(([id, words, ...frames]) => [id, words, frames] as const))(
    "%s %s",
    async (_id, _words, frames) => {
      await siege.witness.during(async () => {
        const scene = await stage.set();
        scene.peer.send(...frames);
        await stage.mustGoOn(scene);
      });
    },
  );

  test.each(REFUSED)("%s %s: refused, and nothing is dialed", async (_id, _words, open, code) => {
    const scene = await stage.set();
    const before = stage.target.visitors.length;
    scene.peer.send(open);
    const refuse = await scene.peer.frame(FRAME.refuse);
    expect(refuse.readUInt16BE(7)).toBe(ERRORS[code].wire);
    await scene.peer.answers();
    expect(stage.target.visitors.length).toBe(before);
    await stage.mustGoOn(scene);
  });

  test("B36 TUNNEL_READY at another place than was asked for: the client ends the session", async () => {
    const peer = await stage.hostile.session();
    await peer.frame(FRAME.tunnelOpen);
    peer.send(encodeTunnelReady(1, "unix:///etc/passwd"));
    expect((await peer.farewell()).code).toBe("bad_frame");
  });

  test("B42 GOAWAY twice: old streams go on, visitors are turned away, the end comes with CLOSE", async () => {
    const scene = await stage.set();
    const { peer, visitors } = scene;
    peer.send(encodeGoaway("shutting_down"), encodeGoaway("shutting_down"));
    await peer.answers();
    visitors[0].socket.write("up");
    expect((await peer.frame(FRAME.data)).subarray(11).toString()).toBe("up");
    peer.send(encodeClose("shutting_down"), encodeData(7, 0, BYTE), encodeClose("closed"));
    expect(await peer.farewell()).toMatchObject({ code: undefined });
    expect(await visitors[0].closed()).toBe("ECONNRESET");
  });
});
