import * as fc from "fast-check";
import { ERRORS, type ErrorCode } from "../../src/errors.ts";
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
  type Frame,
} from "../../src/frame.ts";
import type { OpenRequest } from "../../src/stream.ts";
import { isPlain } from "./oracle-codec.ts";

/** Any frame that this version can send, with numbers that crowd at the edges of their ranges. */

function upTo(max: number): fc.Arbitrary<number> {
  const edges = [0, 1, 255, 256, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, max - 1, max];
  return fc.oneof(fc.constantFrom(...edges.filter((n) => n <= max)), fc.nat({ max }));
}

const u32 = upTo(2 ** 32 - 1);
const u48 = upTo(2 ** 48 - 1);
const u53 = upTo(Number.MAX_SAFE_INTEGER);
const code = fc.constantFrom(...(Object.keys(ERRORS) as ErrorCode[]));
const ascii = fc.string({ maxLength: 512 });
// Well formed, any planes; at most 128 code points, so at most 512 bytes.
const unicode = fc.string({ unit: "grapheme-composite", maxLength: 20 }).filter((s) => s.isWellFormed());
const text = fc.oneof(ascii, unicode, fc.constantFrom("", "\ufeff", "\0", "a\r\nb", "😀", "x".repeat(512)));
const fieldText = text.filter((s) => new TextEncoder().encode(s).length <= 512 && isPlain(s));

const request: fc.Arbitrary<OpenRequest> = fc.record(
  {
    kind: fc.constant("tcp" as const),
    tunnelId: u32,
    target: fieldText,
    visitor: fieldText,
    host: fieldText,
  },
  { requiredKeys: ["kind"] },
);

export type SendableFrame = Exclude<Frame, { type: "ignored" }>;

function frame<T extends SendableFrame["type"]>(
  type: T,
  fields: { [K in Exclude<keyof Extract<SendableFrame, { type: T }>, "type">]: fc.Arbitrary<unknown> },
): fc.Arbitrary<SendableFrame> {
  return fc
    .record(fields as Record<string, fc.Arbitrary<unknown>>)
    .map((values) => ({ type, ...values }) as unknown as SendableFrame);
}

export const anyFrame: fc.Arbitrary<SendableFrame> = fc.oneof(
  frame("open", { streamId: u48, request }),
  frame("accept", { streamId: u48 }),
  frame("refuse", { streamId: u48, code }),
  frame("data", { streamId: u48, offset: u32, payload: fc.uint8Array({ maxLength: 300 }) }),
  frame("end", { streamId: u48, total: u53 }),
  frame("reset", { streamId: u48, code }),
  frame("window", { streamId: u48, limit: u53 }),
  frame("release", { streamId: u48, limit: u53 }),
  frame("tunnelOpen", { tunnelId: u32, listen: fieldText, name: fieldText }),
  frame("tunnelReady", { tunnelId: u32, listen: fieldText }),
  frame("tunnelClose", { tunnelId: u32 }),
  frame("tunnelClosed", { tunnelId: u32, code }),
  frame("note", { text }),
  frame("goaway", { code }),
  frame("close", { code }),
  frame("ping", { token: u32 }),
  frame("pong", { token: u32 }),
  frame("ack", { sequence: u53 }),
);

/** The encoder of frame.ts for it. */
export function encodeFrame(f: SendableFrame): Uint8Array {
  switch (f.type) {
    case "open":
      return encodeOpen(f.streamId, f.request ?? { kind: "tcp" });
    case "accept":
      return encodeAccept(f.streamId);
    case "refuse":
      return encodeRefuse(f.streamId, f.code);
    case "data":
      return encodeData(f.streamId, f.offset, f.payload);
    case "end":
      return encodeEnd(f.streamId, f.total);
    case "reset":
      return encodeReset(f.streamId, f.code);
    case "window":
      return encodeWindow(f.streamId, f.limit);
    case "release":
      return encodeRelease(f.streamId, f.limit);
    case "tunnelOpen":
      return encodeTunnelOpen(f.tunnelId, f.listen, f.name);
    case "tunnelReady":
      return encodeTunnelReady(f.tunnelId, f.listen);
    case "tunnelClose":
      return encodeTunnelClose(f.tunnelId);
    case "tunnelClosed":
      return encodeTunnelClosed(f.tunnelId, f.code);
    case "note":
      return encodeNote(f.text);
    case "goaway":
      return encodeGoaway(f.code);
    case "close":
      return encodeClose(f.code);
    case "ping":
      return encodePing(f.token);
    case "pong":
      return encodePong(f.token);
    case "ack":
      return encodeAck(f.sequence);
  }
}

/**
 * Messages that are nearly frames: valid ones with bytes changed, cut or added, and byte strings behind each type byte,
 * since plain random bytes hardly ever get past the first check.
 */
export const anyMessage: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.tuple(fc.nat({ max: 255 }), fc.uint8Array({ maxLength: 60 })).map(([t, m]) => Uint8Array.of(t, ...m)),
  fc
    .tuple(anyFrame, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 }), fc.nat())
    .map(([f, changes, cut]) => {
      const m = encodeFrame(f);
      for (const [at, value] of changes) m[at % m.length] = value;
      return cut % 3 === 0 ? m.slice(0, cut % (m.length + 1)) : m;
    }),
  fc.tuple(anyFrame, fc.uint8Array({ maxLength: 8 })).map(([f, more]) => {
    return Uint8Array.of(...encodeFrame(f), ...more);
  }),
);
