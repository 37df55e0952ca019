import type { ErrorCode } from "@culvert/protocol";
import { expect } from "vitest";
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
} from "../../../packages/protocol/src/frame.ts";
import { bytes, concat } from "../../../packages/protocol/test/support/hex.ts";
import type { Attacker } from "./attacker.ts";

/** One row of table 4.B: what a client does in a session that has stream 1 open to an echo, and stream 3 forgotten. */
export interface FrameRow {
  readonly id: string;
  readonly words: string;
  /** Sends, and looks at answers; the session goes on unless it `ends`. */
  readonly play: (attacker: Attacker) => void | Promise<void>;
  /** The session ends with this code. */
  readonly ends?: ErrorCode;
}

/** The limits of the server under siege: what is beyond them must not take thousands of frames. */
export const LIMITS = { maxStreams: 12, maxPendingOpens: 6, maxTunnels: 4 } as const;

const BYTE = Uint8Array.of(0);
const KIB_64 = 65_536;
const MAX = Number.MAX_SAFE_INTEGER;
const to = (target: string) => ({ kind: "tcp", target }) as const;
const sends =
  (...frames: readonly Uint8Array[]) =>
  (attacker: Attacker): void =>
    attacker.send(...frames);

function ends(id: string, words: string, code: ErrorCode, ...frames: readonly Uint8Array[]): FrameRow {
  return { id, words, ends: code, play: sends(...frames) };
}

function goesOn(id: string, words: string, ...frames: readonly Uint8Array[]): FrameRow {
  return { id, words, play: sends(...frames) };
}

/** A target that is refused, with nothing dialed. */
function badTarget(id: string, words: string, target: string): FrameRow {
  return {
    id,
    words: `OPEN with ${words}`,
    play: async (attacker) => {
      expect(await attacker.refusal(encodeOpen(5, to(target)))).toBe("bad_address");
    },
  };
}

/** An OPEN whose target field has these bytes. */
function openWith(target: Uint8Array): Uint8Array {
  const head = Uint8Array.of(2, target.length >> 8, target.length & 0xff);
  return concat([bytes("01 000000000005 01"), head, target]);
}

const text = (s: string): Uint8Array => new TextEncoder().encode(s);

export const FRAME_ROWS: readonly FrameRow[] = [
  ends("B1", "an empty message", "bad_frame", new Uint8Array(0)),
  ends("B1", "a message shorter than its head", "bad_frame", bytes("04 0000")),
  ends("B4", "a second HELLO", "unexpected_frame", concat([bytes("40"), text("{}")])),
  ends("B4", "a WELCOME", "unexpected_frame", concat([bytes("41"), text("{}")])),
  ends("B9", "an unknown type that may not be ignored", "unknown_frame", bytes("3f 00")),
  ends("B9", "a datagram, which version 1 does not have", "unknown_frame", bytes("46 00")),
  goesOn("B10", "unknown types that may be ignored", bytes("8f 01"), bytes("c7"), bytes("bf"), bytes("ff")),
  ends("B11", "an ignorable type of 16,385 bytes", "frame_too_large", new Uint8Array(16_385).fill(0xff)),
  ends("B12", "a byte behind the last field", "bad_frame", concat([encodeEnd(1, 0), BYTE])),
  ends("B12", "a field longer than its frame", "bad_frame", bytes("01 000000000005 01 02 00ff 61")),
  ends("B13", "DATA of 65,537 bytes", "frame_too_large", encodeData(1, 0, new Uint8Array(KIB_64 + 1))),
  goesOn(
    "B14",
    "20 times DATA without payload",
    ...Array.from({ length: 20 }, () => encodeData(1, 0, bytes(""))),
  ),
  ends("B15", "DATA on stream 0", "unknown_stream", encodeData(0, 0, BYTE)),
  ends("B16", "DATA on a stream that was never opened", "unknown_stream", encodeData(7, 0, BYTE)),
  ends(
    "B16",
    "DATA on a stream of the server that was never opened",
    "unknown_stream",
    encodeData(2, 0, BYTE),
  ),
  ends("B16", "DATA on a forgotten stream", "unknown_stream", encodeData(3, 0, BYTE)),
  {
    id: "B17",
    words: "DATA on a stream that the server has reset",
    play: async (attacker) => {
      // Its target breaks the connection for this word.
      attacker.send(encodeData(1, 0, text("reset")));
      await attacker.client.frame(FRAME.reset);
      attacker.send(encodeData(1, 5, BYTE), encodeEnd(1, 6));
    },
  },
  ends("B18", "DATA after END", "unexpected_frame", encodeEnd(1, 0), encodeData(1, 0, BYTE)),
  ends("B18", "END after END", "unexpected_frame", encodeEnd(1, 0), encodeEnd(1, 0)),
  {
    id: "B18",
    words: "DATA after RESET, which the server has not answered yet or has: the stream is forgotten",
    play: sends(encodeReset(1, "closed"), encodeData(1, 0, BYTE)),
    ends: "unexpected_frame",
  },
  ends("B19, T39", "OPEN with the server's parity", "bad_stream_id", encodeOpen(8, to("h:1"))),
  ends("B19, T39", "OPEN with id 0", "bad_stream_id", encodeOpen(0, to("h:1"))),
  ends("B19, T39", "OPEN with the id of an open stream", "bad_stream_id", encodeOpen(1, to("h:1"))),
  ends("B19, T39", "OPEN with the id of a forgotten stream", "bad_stream_id", encodeOpen(3, to("h:1"))),
  ends("B19, T39", "OPEN with a lower id", "bad_stream_id", encodeOpen(9, to(":")), encodeOpen(7, to(":"))),
  {
    id: "B19, T48",
    words: "OPEN with id 2^48 - 1, and another behind it",
    play: async (attacker) => {
      await attacker.open(2 ** 48 - 1);
      attacker.send(encodeOpen(2 ** 48 - 1, to("h:1")));
    },
    ends: "bad_stream_id",
  },
  {
    id: "B20, T34",
    words: "OPEN above the stream limit",
    play: async (attacker) => {
      for (let n = 1; n < LIMITS.maxStreams; n += 1) await attacker.open(2 * n + 3);
      attacker.send(encodeOpen(1001, to(attacker.field.echo)));
    },
    ends: "limit_exceeded",
  },
  {
    id: "B20",
    words: "more OPENs without an answer than allowed",
    play: (attacker) => {
      const opens = Array.from({ length: LIMITS.maxPendingOpens + 1 }, (_, n) =>
        encodeOpen(2 * n + 5, to(attacker.field.mute)),
      );
      attacker.send(...opens);
    },
    ends: "limit_exceeded",
  },
  {
    id: "B21",
    words: "OPEN of a kind that version 1 does not have",
    play: async (attacker) => {
      expect(await attacker.refusal(bytes("01 000000000005 02"))).toBe("not_accepted");
    },
  },
  {
    id: "B21",
    words: "OPEN for a tunnel, which is the server's to send",
    play: async (attacker) => {
      expect(await attacker.refusal(encodeOpen(5, { kind: "tcp", tunnelId: 1 }))).toBe("unknown_tunnel");
    },
  },
  {
    id: "B22",
    words: "OPEN without a target",
    play: async (attacker) => {
      expect(await attacker.refusal(encodeOpen(5, { kind: "tcp" }))).toBe("bad_address");
    },
  },
  badTarget("B22", "an empty host", ":80"),
  badTarget("B22", "an empty target", ""),
  badTarget("B22", "a host of 256 bytes", `${"a.".repeat(128)}:80`),
  badTarget("B22", "a label of 64 bytes", `${"a".repeat(64)}:80`),
  ends("B22", "OPEN with a target of 513 bytes", "bad_frame", openWith(new Uint8Array(513).fill(97))),
  ends("B22", "OPEN with a target of 64 KiB", "frame_too_large", openWith(new Uint8Array(65_535).fill(97))),
  ends("B23", "OPEN with NUL in the host", "bad_frame", openWith(text("a\0b:80"))),
  ends("B23", "OPEN with a line break in the host", "bad_frame", openWith(text("a\r\nHost: b:80"))),
  ends("B23", "OPEN with an escape in the host", "bad_frame", openWith(text("a\u001b]0;b:80"))),
  ends("B23", "OPEN with U+202E in the host", "bad_frame", openWith(text("a\u202eb:80"))),
  ends(
    "B23",
    "OPEN with a host that is not UTF-8",
    "bad_frame",
    openWith(Uint8Array.of(0xc3, 0x28, 0x3a, 0x38)),
  ),
  badTarget("B23", "a space in the host", "a b:80"),
  badTarget("B23", "a slash in the host", "a/b:80"),
  badTarget("B23", "@ in the host", "user@host:80"),
  badTarget("B23", "%00 in the host", "a%00b:80"),
  badTarget("B23", "a host that begins with a hyphen", "-oProxyCommand=id:80"),
  badTarget("B24", "the host .", ".:80"),
  badTarget("B24", "the host ..", "..:80"),
  badTarget("B24", "an empty label", "a..b:80"),
  badTarget("B24", "an emoji", "\u{1f600}.example:80"),
  badTarget("B24", "letters of two alphabets", "p\u0430ypal.example:80"),
  badTarget("B24", "an IPv4 address in one number", "2130706433:80"),
  badTarget("B24", "an IPv4 address in octal", "0177.0.0.1:80"),
  badTarget("B24", "an IPv6 address without brackets", "::1:80"),
  badTarget("B24", "an IPv6 zone", "[fe80::1%lo]:80"),
  badTarget("B25", "port 0", "127.0.0.1:0"),
  badTarget("B25", "port 65536", "127.0.0.1:65536"),
  badTarget("B25", "port -1", "127.0.0.1:-1"),
  badTarget("B25", "port 1.5", "127.0.0.1:1.5"),
  badTarget("B25", 'port "80"', '127.0.0.1:"80"'),
  badTarget("B25", "no port", "127.0.0.1"),
  badTarget("B25", "a scheme that is not known", "file:///etc/passwd"),
  badTarget("B25", "a Unix path that is not absolute", "unix://run/x.sock"),
  badTarget("B25", "a Unix path that goes up", "unix:///run/../etc/x.sock"),
  ends("B27", "ACCEPT for the client's own stream", "unexpected_frame", encodeAccept(1)),
  ends("B27", "ACCEPT for a stream that was never opened", "unknown_stream", encodeAccept(2)),
  ends("B27", "REFUSE for the client's own stream", "unexpected_frame", encodeRefuse(1, "forbidden")),
  ends("B27", "REFUSE for a stream that was never opened", "unknown_stream", encodeRefuse(100, "forbidden")),
  ends("B28, T37", "WINDOW of 0", "bad_window", encodeWindow(1, 0)),
  ends("B28, T37", "WINDOW that shrinks", "bad_window", encodeWindow(1, 9000), encodeWindow(1, 8999)),
  ends("B28, T37", "WINDOW of 2^53", "bad_frame", bytes("07 000000000001 0020000000000000")),
  ends("B28, T37", "WINDOW of 2^64 - 1", "bad_frame", bytes("07 000000000001 ffffffffffffffff")),
  goesOn("B28, T37", "WINDOW of 2^53 - 1, again and again", encodeWindow(1, MAX), encodeWindow(1, MAX)),
  goesOn("B28", "WINDOW without gain", encodeWindow(1, 8192), encodeWindow(1, 8192)),
  goesOn("B28", "WINDOW for a forgotten stream", encodeWindow(3, 0), encodeWindow(3, MAX)),
  ends("B28", "WINDOW for a stream that was never opened", "unknown_stream", encodeWindow(7, 9000)),
  ends("B28, T37", "RELEASE of more than was granted", "bad_window", encodeRelease(1, 9_000_000)),
  ends("B28, T37", "RELEASE of 2^53", "bad_frame", bytes("0f 000000000001 0020000000000000")),
  ends("B28", "RELEASE for a stream that was never opened", "unknown_stream", encodeRelease(7, 0)),
  ends("B28", "RELEASE for a forgotten stream", "unknown_stream", encodeRelease(3, 0)),
  ends("B28", "RELEASE behind an END", "unexpected_frame", encodeEnd(1, 0), encodeRelease(1, 8192)),
  goesOn(
    "B28, T37",
    "RELEASE of nothing, and of what was long ago",
    encodeRelease(1, 8192),
    encodeRelease(1, 0),
  ),
  ends(
    "B29, T38",
    "DATA over the window by a byte",
    "window_exceeded",
    encodeData(1, 0, new Uint8Array(8193)),
  ),
  ends(
    "B29, T38",
    "DATA over the window by far",
    "window_exceeded",
    encodeData(1, 0, new Uint8Array(KIB_64)),
  ),
  ends("B30", "ACK beyond what was sent", "bad_ack", encodeAck(1000)),
  ends("B30, T48", "ACK of 2^53 - 1", "bad_ack", encodeAck(MAX)),
  goesOn("B30", "ACK again and backwards", encodeAck(1), encodeAck(0), encodeAck(1)),
  ends("B31", "DATA with a wrong offset", "offset_mismatch", encodeData(1, 1, BYTE)),
  ends("B31, T48", "DATA with offset 2^32 - 1", "offset_mismatch", encodeData(1, 2 ** 32 - 1, BYTE)),
  ends("B31", "END with a wrong total", "offset_mismatch", encodeEnd(1, 1)),
  ends("B31, T48", "END with a total of 2^53 - 1", "offset_mismatch", encodeEnd(1, MAX)),
  ends("B34", "PING with a token of 5 bytes", "bad_frame", bytes("43 0000000000")),
  ends("B34", "PING of 16,384 bytes", "bad_frame", concat([bytes("43"), new Uint8Array(16_383)])),
  {
    id: "B34",
    words: "50 PINGs at once: the last is answered, and few others",
    play: async (attacker) => {
      attacker.send(...Array.from({ length: 50 }, (_, n) => encodePing(1_000_000 + n)));
      let pongs = 1;
      while ((await attacker.client.frame(FRAME.pong)).readUInt32BE(1) !== 1_000_049) pongs += 1;
      expect(pongs).toBeLessThan(10);
    },
  },
  goesOn("B35", "PONG that nobody asked for", encodePong(0), encodePong(2 ** 32 - 1)),
  {
    id: "B36",
    words: "TUNNEL_OPEN with port 0: READY names the port",
    play: async (attacker) => {
      attacker.send(encodeTunnelOpen(1, "tcp://127.0.0.1:0", ""));
      const ready = await attacker.client.frame(FRAME.tunnelReady);
      expect(ready.subarray(8).toString()).toMatch(/^tcp:\/\/127\.0\.0\.1:[1-9]\d+$/);
    },
  },
  {
    id: "B36",
    words: "TUNNEL_OPEN at ports and hosts that cannot be: refused, one by one",
    play: async (attacker) => {
      const { port } = attacker.field;
      expect(await attacker.tunnelRefusal(1, "tcp://127.0.0.1:65536")).toBe("bad_address");
      expect(await attacker.tunnelRefusal(2, "tcp://127.0.0.1:-1")).toBe("bad_address");
      expect(await attacker.tunnelRefusal(3, `tcp://127.0.0.1:${port}`)).toBe("address_in_use");
      expect(await attacker.tunnelRefusal(4, "tcp://192.0.2.1:0")).toBe("address_unavailable");
      expect(await attacker.tunnelRefusal(5, "tcp://a b:80")).toBe("bad_address");
      expect(await attacker.tunnelRefusal(6, "")).toBe("bad_address");
      expect(await attacker.tunnelRefusal(7, "unix:///no/such/folder/x.sock")).toBe("address_unavailable");
    },
  },
  {
    id: "B36",
    words: "10,000 TUNNEL_OPENs",
    play: sends(
      ...Array.from({ length: 10_000 }, (_, n) => encodeTunnelOpen(n + 1, "tcp://127.0.0.1:0", "")),
    ),
    ends: "limit_exceeded",
  },
  ends("B36", "TUNNEL_OPEN with id 0", "unexpected_frame", encodeTunnelOpen(0, "tcp://127.0.0.1:0", "")),
  ends(
    "B36",
    "TUNNEL_OPEN with a used id",
    "unexpected_frame",
    encodeTunnelOpen(9, "tcp://127.0.0.1:0", ""),
    encodeTunnelOpen(9, "tcp://127.0.0.1:0", ""),
  ),
  ends("B36", "TUNNEL_OPEN without an address", "bad_frame", bytes("08 00000001")),
  ends("B38", "TUNNEL_CLOSE for what never was", "unexpected_frame", encodeTunnelClose(1)),
  ends("B38", "TUNNEL_READY that nobody asked for", "unexpected_frame", encodeTunnelReady(1, "tcp://a:1")),
  ends("B38", "TUNNEL_CLOSED that nobody asked for", "unexpected_frame", encodeTunnelClosed(1, "closed")),
  goesOn(
    "B42",
    "GOAWAY twice, and frames behind it",
    encodeGoaway("shutting_down"),
    encodeGoaway("shutting_down"),
    encodeData(1, 0, BYTE),
    encodeNote("still here"),
  ),
  {
    id: "B42",
    words: "frames behind CLOSE: nothing is heard of them",
    play: sends(encodeClose("closed"), encodeData(7, 0, BYTE), encodeOpen(1, to("h:1"))),
    ends: "closed",
  },
];
