import { describe, expect, test } from "vitest";
import { type ErrorCode, ProtocolError } from "../src/errors.ts";
import {
  decodeFrame,
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
  type Frame,
  writeDataHeader,
} from "../src/frame.ts";
import { bytes, hex } from "./support/hex.ts";
import { documentedTypes } from "./support/protocol-document.ts";

const ID = 0x0102_0304_0506;
const MAX_ID = 2 ** 48 - 1;
const MAX_U53 = Number.MAX_SAFE_INTEGER;

function refusal(message: Uint8Array): ErrorCode | Frame {
  try {
    return decodeFrame(message);
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
}

describe("the bytes of each frame", () => {
  const rows: [name: string, encoded: Uint8Array, literal: string, frame: Frame][] = [
    [
      "OPEN without fields",
      encodeOpen(1, { kind: "tcp" }),
      "01 000000000001 01",
      { type: "open", streamId: 1, request: { kind: "tcp" } },
    ],
    [
      "OPEN with all fields",
      encodeOpen(ID, { kind: "tcp", tunnelId: 7, target: "tcp://a:1", visitor: "v", host: "h.é" }),
      `01 010203040506 01
       01 0004 00000007
       02 0009 7463703a2f2f613a31
       03 0001 76
       04 0004 682ec3a9`,
      {
        type: "open",
        streamId: ID,
        request: { kind: "tcp", tunnelId: 7, target: "tcp://a:1", visitor: "v", host: "h.é" },
      },
    ],
    ["ACCEPT", encodeAccept(ID), "02 010203040506", { type: "accept", streamId: ID }],
    [
      "REFUSE",
      encodeRefuse(1, "target_refused"),
      "03 000000000001 0001",
      { type: "refuse", streamId: 1, code: "target_refused" },
    ],
    [
      "DATA",
      encodeData(3, 0x0102_0304, bytes("aabbcc")),
      "04 000000000003 01020304 aabbcc",
      { type: "data", streamId: 3, offset: 0x0102_0304, payload: bytes("aabbcc") },
    ],
    [
      "DATA without payload",
      encodeData(3, 0, new Uint8Array(0)),
      "04 000000000003 00000000",
      { type: "data", streamId: 3, offset: 0, payload: new Uint8Array(0) },
    ],
    [
      "DATA behind 4 GiB carries the low 32 bits",
      encodeData(3, 2 ** 32 + 5, bytes("00")),
      "04 000000000003 00000005 00",
      { type: "data", streamId: 3, offset: 5, payload: bytes("00") },
    ],
    [
      "END",
      encodeEnd(MAX_ID, MAX_U53),
      "05 ffffffffffff 001fffffffffffff",
      { type: "end", streamId: MAX_ID, total: MAX_U53 },
    ],
    [
      "RESET",
      encodeReset(2, "connection_reset"),
      "06 000000000002 000d",
      { type: "reset", streamId: 2, code: "connection_reset" },
    ],
    [
      "WINDOW",
      encodeWindow(0x8000_0000_0000, 2 ** 32),
      "07 800000000000 0000000100000000",
      { type: "window", streamId: 0x8000_0000_0000, limit: 2 ** 32 },
    ],
    [
      "RELEASE",
      encodeRelease(1, 2 ** 53 - 1),
      "0f 000000000001 001fffffffffffff",
      { type: "release", streamId: 1, limit: 2 ** 53 - 1 },
    ],
    [
      "TUNNEL_OPEN",
      encodeTunnelOpen(1, "tcp://0.0.0.0:0", "web"),
      "08 00000001 05 000f 7463703a2f2f302e302e302e303a30 06 0003 776562",
      { type: "tunnelOpen", tunnelId: 1, listen: "tcp://0.0.0.0:0", name: "web" },
    ],
    [
      "TUNNEL_OPEN with an empty name",
      encodeTunnelOpen(0xffff_ffff, "x", ""),
      "08 ffffffff 05 0001 78 06 0000",
      { type: "tunnelOpen", tunnelId: 0xffff_ffff, listen: "x", name: "" },
    ],
    [
      "TUNNEL_READY",
      encodeTunnelReady(2, "x"),
      "09 00000002 05 0001 78",
      { type: "tunnelReady", tunnelId: 2, listen: "x" },
    ],
    ["TUNNEL_CLOSE", encodeTunnelClose(258), "0a 00000102", { type: "tunnelClose", tunnelId: 258 }],
    [
      "TUNNEL_CLOSED",
      encodeTunnelClosed(1, "address_in_use"),
      "0b 00000001 0020",
      { type: "tunnelClosed", tunnelId: 1, code: "address_in_use" },
    ],
    ["NOTE", encodeNote("hi é"), "0c 686920c3a9", { type: "note", text: "hi é" }],
    ["NOTE that is empty", encodeNote(""), "0c", { type: "note", text: "" }],
    ["GOAWAY", encodeGoaway("shutting_down"), "0d 0068", { type: "goaway", code: "shutting_down" }],
    ["CLOSE", encodeClose("closed"), "0e 0000", { type: "close", code: "closed" }],
    [
      "CLOSE for an unknown code",
      encodeClose("unknown_code"),
      "0e ffff",
      { type: "close", code: "unknown_code" },
    ],
    ["PING", encodePing(0xffff_fffe), "43 fffffffe", { type: "ping", token: 0xffff_fffe }],
    ["PONG", encodePong(1), "44 00000001", { type: "pong", token: 1 }],
    ["ACK", encodeAck(2 ** 40 + 1), "45 0000010000000001", { type: "ack", sequence: 2 ** 40 + 1 }],
  ];

  test.each(rows)("%s", (_, encoded, literal, frame) => {
    expect(hex(encoded)).toBe(hex(bytes(literal)));
    expect(decodeFrame(bytes(literal))).toEqual(frame);
  });

  test("every type has a row", () => {
    const covered = new Set(rows.map(([, encoded]) => encoded[0]));
    const handshake: number[] = [FRAME.hello, FRAME.welcome, FRAME.reject, FRAME.datagram];
    expect(Object.values(FRAME).filter((t) => !covered.has(t) && !handshake.includes(t))).toEqual([]);
  });

  test("the payload of DATA is a view of the message, not a copy", () => {
    const message = encodeData(1, 0, bytes("0102"));
    const frame = decodeFrame(message);
    expect(frame.type === "data" && frame.payload.buffer).toBe(message.buffer);
  });

  test("a header written in place equals that of an encoded frame", () => {
    const frame = new Uint8Array(12).fill(0xee);
    writeDataHeader(frame, ID, 2 ** 33 + 9);
    expect(hex(frame)).toBe("0401020304050600000009ee");
  });
});

describe("the types in docs/protocol.md section 3.2", () => {
  test("are those of the code", () => {
    const words = (name: string) => name.replaceAll(/[A-Z]/g, (c) => `_${c}`).toUpperCase();
    const inCode = Object.entries(FRAME).map(([name, type]) => [
      name === "datagram" ? "(DATAGRAM)" : words(name),
      type,
    ]);
    expect([...documentedTypes()]).toEqual(inCode);
  });
});

describe("what is tolerated", () => {
  test.each([
    ["an unknown field between known ones", "01 000000000001 01 02 0001 61 ff 0000", { target: "a" }],
    ["an unknown field with any value", "01 000000000001 01 63 0003 fffefd", {}],
    ["a field of tunnel frames in OPEN", "01 000000000001 01 05 0001 ff", {}],
    ["an empty text", "01 000000000001 01 02 0000", { target: "" }],
    ["a byte order mark in a text", "01 000000000001 01 02 0004 efbbbf61", { target: "\ufeffa" }],
  ])("%s", (_, literal, fields) => {
    expect(decodeFrame(bytes(literal))).toEqual({
      type: "open",
      streamId: 1,
      request: { kind: "tcp", ...fields },
    });
  });

  test("an OPEN of another kind has no request, so that only this stream is refused", () => {
    expect(decodeFrame(bytes("01 000000000001 02 63 0001 00"))).toEqual({
      type: "open",
      streamId: 1,
      request: undefined,
    });
    expect(decodeFrame(bytes("01 000000000001 00"))).toMatchObject({ request: undefined });
  });

  test("a code number that this version does not know", () => {
    expect(decodeFrame(bytes("0e 1234"))).toEqual({ type: "close", code: "unknown_code" });
    expect(decodeFrame(bytes("06 000000000001 000e"))).toMatchObject({ code: "unknown_code" });
  });

  test.each([
    ["80", true],
    ["bf 00 ff", true],
    ["c0", false],
    ["ff", false],
    ["c6 0102", false],
  ])("a frame %s of an unknown type that may be ignored", (literal, sequenced) => {
    expect(decodeFrame(bytes(literal))).toEqual({ type: "ignored", sequenced });
  });

  test("an ignorable frame with the low bits of a known type is not that type", () => {
    expect(decodeFrame(bytes("82 000000000001"))).toEqual({ type: "ignored", sequenced: true });
    expect(decodeFrame(bytes("8e 0000"))).toEqual({ type: "ignored", sequenced: true });
  });
});

describe("what is refused", () => {
  test.each<[string, string, ErrorCode]>([
    ["an empty message", "", "bad_frame"],
    ["type 0", "00", "unknown_frame"],
    ["the first free sequenced type", "10", "unknown_frame"],
    ["the last sequenced type", "3f", "unknown_frame"],
    ["the reserved datagram", "46 00", "unknown_frame"],
    ["the last unsequenced type", "7f", "unknown_frame"],
    ["a second HELLO", "40 7b7d", "unexpected_frame"],
    ["a second WELCOME", "41 7b7d", "unexpected_frame"],
    ["a second REJECT", "42 7b7d", "unexpected_frame"],
    ["OPEN without a kind", "01 000000000001", "bad_frame"],
    ["OPEN with half an id", "01 000000", "bad_frame"],
    ["OPEN with half a field head", "01 000000000001 01 02 00", "bad_frame"],
    ["OPEN with a field cut short", "01 000000000001 01 02 0002 61", "bad_frame"],
    ["OPEN with a field twice", "01 000000000001 01 02 0001 61 02 0001 61", "bad_frame"],
    ["OPEN with fields out of order", "01 000000000001 01 03 0001 61 02 0001 61", "bad_frame"],
    ["OPEN with tag 0", "01 000000000001 01 00 0001 61", "bad_frame"],
    ["OPEN with a tunnel id of 3 bytes", "01 000000000001 01 01 0003 000001", "bad_frame"],
    ["OPEN with a tunnel id of 5 bytes", "01 000000000001 01 01 0005 0000000001", "bad_frame"],
    ["OPEN with a target that is not UTF-8", "01 000000000001 01 02 0001 ff", "bad_frame"],
    ["OPEN with an overlong encoding", "01 000000000001 01 02 0002 c080", "bad_frame"],
    ["OPEN with a surrogate in UTF-8", "01 000000000001 01 02 0003 eda080", "bad_frame"],
    ["OPEN with a line break in a text", "01 000000000001 01 04 0003 610a62", "bad_frame"],
    ["OPEN with NUL in a text", "01 000000000001 01 02 0001 00", "bad_frame"],
    ["OPEN with a C1 control character", "01 000000000001 01 03 0002 c285", "bad_frame"],
    ["OPEN with a bidi override", "01 000000000001 01 04 0003 e280ae", "bad_frame"],
    ["TUNNEL_OPEN with an escape in its name", "08 00000001 05 0001 78 06 0001 1b", "bad_frame"],
    ["OPEN of another kind with broken fields", "01 000000000001 02 02 00", "bad_frame"],
    ["ACCEPT too short", "02 0000000001", "bad_frame"],
    ["ACCEPT too long", "02 000000000001 00", "bad_frame"],
    ["REFUSE without a code", "03 000000000001", "bad_frame"],
    ["DATA without an offset", "04 000000000001 000000", "bad_frame"],
    ["END too short", "05 000000000001 00000000000000", "bad_frame"],
    ["END too long", "05 000000000001 000000000000000000", "bad_frame"],
    ["END with a total of 2^53", "05 000000000001 0020000000000000", "bad_frame"],
    ["END with a total of 2^64 - 1", "05 000000000001 ffffffffffffffff", "bad_frame"],
    ["RESET too long", "06 000000000001 000000", "bad_frame"],
    ["WINDOW with a limit of 2^53", "07 000000000001 0020000000000000", "bad_frame"],
    ["TUNNEL_OPEN with half an id", "08 0000", "bad_frame"],
    ["TUNNEL_OPEN without an address", "08 00000001", "bad_frame"],
    ["TUNNEL_OPEN with a name only", "08 00000001 06 0001 61", "bad_frame"],
    ["TUNNEL_READY without an address", "09 00000001", "bad_frame"],
    ["TUNNEL_CLOSE too long", "0a 00000001 00", "bad_frame"],
    ["TUNNEL_CLOSED without a code", "0b 00000001", "bad_frame"],
    ["NOTE that is not UTF-8", "0c c3", "bad_frame"],
    ["GOAWAY with one byte of a code", "0d 00", "bad_frame"],
    ["CLOSE without a code", "0e", "bad_frame"],
    ["PING without a token", "43", "bad_frame"],
    ["PING with a long token", "43 0000000000", "bad_frame"],
    ["PONG too short", "44 000000", "bad_frame"],
    ["ACK too short", "45 00000001", "bad_frame"],
    ["ACK of 2^53", "45 0020000000000000", "bad_frame"],
  ])("%s", (_, literal, code) => {
    expect(refusal(bytes(literal))).toBe(code);
  });

  test.each<[string, number, number, ErrorCode | "taken"]>([
    ["DATA at its limit", 0x04, 11 + 65_536, "taken"],
    ["DATA above it", 0x04, 11 + 65_537, "frame_too_large"],
    ["NOTE at its limit", 0x0c, 1025, "taken"],
    ["NOTE above it", 0x0c, 1026, "frame_too_large"],
    ["OPEN above its limit", 0x01, 16_385, "frame_too_large"],
    ["TUNNEL_OPEN above its limit", 0x08, 16_385, "frame_too_large"],
    ["an ignorable frame at the limit", 0x80, 16_384, "taken"],
    ["an ignorable frame above it", 0x80, 16_385, "frame_too_large"],
    ["an unknown frame above it", 0x3f, 16_385, "frame_too_large"],
    ["HELLO above it", 0x40, 16_385, "frame_too_large"],
  ])("by size: %s", (_, type, length, expected) => {
    const message = new Uint8Array(length);
    message[0] = type;
    const result = refusal(message);
    expect(typeof result === "string" ? result : "taken").toBe(expected);
  });

  test("a text of 512 bytes passes, one of 513 does not", () => {
    const withTarget = (length: number) =>
      Uint8Array.of(
        ...bytes("01 000000000001 01 02"),
        length >> 8,
        length & 255,
        ...new Uint8Array(length).fill(0x61),
      );
    expect(decodeFrame(withTarget(512))).toMatchObject({ request: { target: "a".repeat(512) } });
    expect(refusal(withTarget(513))).toBe("bad_frame");
  });
});

describe("encoding at the limits", () => {
  test("a note is cut at 1,024 bytes, never inside a character", () => {
    expect(encodeNote("x".repeat(2000))).toHaveLength(1025);
    for (const [text, length] of [
      ["é".repeat(600), 1024],
      [`x${"é".repeat(600)}`, 1023],
      ["😀".repeat(300), 1024],
      [`xyz${"😀".repeat(300)}`, 1023],
      ["€".repeat(400), 1023],
    ] as const) {
      const note = encodeNote(text);
      expect(note).toHaveLength(1 + length);
      const frame = decodeFrame(note);
      expect(frame.type === "note" && text.startsWith(frame.text)).toBe(true);
    }
  });

  test("a lone surrogate in a note becomes a replacement character, not a violation", () => {
    expect(decodeFrame(encodeNote("a\ud800b"))).toEqual({ type: "note", text: "a\ufffdb" });
  });

  test("texts of 513 bytes and ids above 2^48 - 1 are not encoded", () => {
    expect(() => encodeOpen(1, { kind: "tcp", target: "é".repeat(257) })).toThrow(ProtocolError);
    expect(() => encodeTunnelOpen(1, "x".repeat(513), "")).toThrow(ProtocolError);
    expect(() => encodeAccept(2 ** 48)).toThrow(RangeError);
  });
});
