import { codeOfWire, ERRORS, type ErrorCode, ProtocolError } from "./errors.ts";
import { decodeFields, encodeFields, FIELD, type Fields } from "./fields.ts";
import { MAX_CONTROL_BYTES, MAX_DATA_BYTES, MAX_STREAM_ID } from "./limits.ts";
import type { OpenRequest } from "./stream.ts";

/**
 * One binary WebSocket message is one frame (docs/protocol.md). The first byte is the type: below 0x40 (without the top
 * bit) sequenced, from 0x40 unsequenced; the top bit says that who does not know the type may ignore it.
 */
export const FRAME = {
  open: 0x01,
  accept: 0x02,
  refuse: 0x03,
  data: 0x04,
  end: 0x05,
  reset: 0x06,
  window: 0x07,
  tunnelOpen: 0x08,
  tunnelReady: 0x09,
  tunnelClose: 0x0a,
  tunnelClosed: 0x0b,
  note: 0x0c,
  goaway: 0x0d,
  close: 0x0e,
  release: 0x0f,
  hello: 0x40,
  welcome: 0x41,
  reject: 0x42,
  ping: 0x43,
  pong: 0x44,
  ack: 0x45,
  /** Reserved for a later version; unknown in this one. */
  datagram: 0x46,
} as const;

const UNSEQUENCED_BIT = 0x40;
const IGNORABLE_BIT = 0x80;

/** Bytes before the payload of DATA. */
export const DATA_HEADER_BYTES = 11;
const KIND_TCP = 1;
const MAX_NOTE_BYTES = 1024;

export type Frame =
  | { readonly type: "open"; readonly streamId: number; readonly request: OpenRequest | undefined }
  | { readonly type: "accept"; readonly streamId: number }
  | { readonly type: "refuse"; readonly streamId: number; readonly code: ErrorCode }
  | {
      readonly type: "data";
      readonly streamId: number;
      readonly offset: number;
      readonly payload: Uint8Array;
    }
  | { readonly type: "end"; readonly streamId: number; readonly total: number }
  | { readonly type: "reset"; readonly streamId: number; readonly code: ErrorCode }
  | { readonly type: "window"; readonly streamId: number; readonly limit: number }
  | { readonly type: "release"; readonly streamId: number; readonly limit: number }
  | { readonly type: "tunnelOpen"; readonly tunnelId: number; readonly listen: string; readonly name: string }
  | { readonly type: "tunnelReady"; readonly tunnelId: number; readonly listen: string }
  | { readonly type: "tunnelClose"; readonly tunnelId: number }
  | { readonly type: "tunnelClosed"; readonly tunnelId: number; readonly code: ErrorCode }
  | { readonly type: "note"; readonly text: string }
  | { readonly type: "goaway"; readonly code: ErrorCode }
  | { readonly type: "close"; readonly code: ErrorCode }
  | { readonly type: "ping"; readonly token: number }
  | { readonly type: "pong"; readonly token: number }
  | { readonly type: "ack"; readonly sequence: number }
  | { readonly type: "ignored"; readonly sequenced: boolean };

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

// -- decoding

/**
 * Reads one message. Handshake frames are not read here: they may only come first.
 * @throws ProtocolError `bad_frame`, `unknown_frame`, `frame_too_large`, `unexpected_frame`.
 */
export function decodeFrame(m: Uint8Array): Frame {
  const type = m[0];
  switch (type) {
    case FRAME.data:
      if (m.length < DATA_HEADER_BYTES) throw short("DATA");
      if (m.length > DATA_HEADER_BYTES + MAX_DATA_BYTES) throw new ProtocolError("frame_too_large", "DATA");
      return {
        type: "data",
        streamId: readId(m),
        offset: readU32(m, 7),
        payload: m.subarray(DATA_HEADER_BYTES),
      };
    case FRAME.ack:
      exact(m, 9, "ACK");
      return { type: "ack", sequence: readU53(m, 1) };
    case FRAME.window:
      exact(m, 15, "WINDOW");
      return { type: "window", streamId: readId(m), limit: readU53(m, 7) };
    case FRAME.release:
      exact(m, 15, "RELEASE");
      return { type: "release", streamId: readId(m), limit: readU53(m, 7) };
    case FRAME.open:
      return readOpen(m);
    case FRAME.accept:
      exact(m, 7, "ACCEPT");
      return { type: "accept", streamId: readId(m) };
    case FRAME.refuse:
      exact(m, 9, "REFUSE");
      return { type: "refuse", streamId: readId(m), code: readCode(m, 7) };
    case FRAME.end:
      exact(m, 15, "END");
      return { type: "end", streamId: readId(m), total: readU53(m, 7) };
    case FRAME.reset:
      exact(m, 9, "RESET");
      return { type: "reset", streamId: readId(m), code: readCode(m, 7) };
    case FRAME.ping:
      exact(m, 5, "PING");
      return { type: "ping", token: readU32(m, 1) };
    case FRAME.pong:
      exact(m, 5, "PONG");
      return { type: "pong", token: readU32(m, 1) };
    case undefined:
      throw new ProtocolError("bad_frame", "an empty message");
    default:
      return decodeRare(type, m);
  }
}

/** The frames that come a few times in a session's life. */
function decodeRare(type: number, m: Uint8Array): Frame {
  if (m.length > MAX_CONTROL_BYTES) throw new ProtocolError("frame_too_large", `type ${type}`);
  switch (type) {
    case FRAME.tunnelOpen: {
      const fields = tunnelFields(m);
      const listen = fields.get(FIELD.listen);
      if (listen === undefined) throw new ProtocolError("bad_frame", "TUNNEL_OPEN without an address");
      return { type: "tunnelOpen", tunnelId: readU32(m, 1), listen, name: fields.get(FIELD.name) ?? "" };
    }
    case FRAME.tunnelReady: {
      const listen = tunnelFields(m).get(FIELD.listen);
      if (listen === undefined) throw new ProtocolError("bad_frame", "TUNNEL_READY without an address");
      return { type: "tunnelReady", tunnelId: readU32(m, 1), listen };
    }
    case FRAME.tunnelClose:
      exact(m, 5, "TUNNEL_CLOSE");
      return { type: "tunnelClose", tunnelId: readU32(m, 1) };
    case FRAME.tunnelClosed:
      exact(m, 7, "TUNNEL_CLOSED");
      return { type: "tunnelClosed", tunnelId: readU32(m, 1), code: readCode(m, 5) };
    case FRAME.note:
      if (m.length > MAX_NOTE_BYTES + 1) throw new ProtocolError("frame_too_large", "NOTE");
      return { type: "note", text: readText(m.subarray(1)) };
    case FRAME.goaway:
      exact(m, 3, "GOAWAY");
      return { type: "goaway", code: readCode(m, 1) };
    case FRAME.close:
      exact(m, 3, "CLOSE");
      return { type: "close", code: readCode(m, 1) };
    case FRAME.hello:
    case FRAME.welcome:
    case FRAME.reject:
      throw new ProtocolError("unexpected_frame", "a second handshake");
    default:
      if ((type & IGNORABLE_BIT) === 0) throw new ProtocolError("unknown_frame", `type ${type}`);
      return { type: "ignored", sequenced: (type & UNSEQUENCED_BIT) === 0 };
  }
}

function readOpen(m: Uint8Array): Frame {
  if (m.length < 8) throw short("OPEN");
  if (m.length > MAX_CONTROL_BYTES) throw new ProtocolError("frame_too_large", "OPEN");
  const streamId = readId(m);
  const fields = decodeFields(m.subarray(8));
  // A kind of a newer peer is no violation: the session refuses that stream.
  if (m[7] !== KIND_TCP) return { type: "open", streamId, request: undefined };
  const tunnelId = fields.number(FIELD.tunnelId);
  const target = fields.get(FIELD.target);
  const visitor = fields.get(FIELD.visitor);
  const host = fields.get(FIELD.host);
  const request: OpenRequest = {
    kind: "tcp",
    ...(tunnelId === undefined ? {} : { tunnelId }),
    ...(target === undefined ? {} : { target }),
    ...(visitor === undefined ? {} : { visitor }),
    ...(host === undefined ? {} : { host }),
  };
  return { type: "open", streamId, request };
}

function tunnelFields(m: Uint8Array): Fields {
  if (m.length < 5) throw short("a tunnel frame");
  return decodeFields(m.subarray(5));
}

function readText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new ProtocolError("bad_frame", "text that is not UTF-8");
  }
}

function short(name: string): ProtocolError {
  return new ProtocolError("bad_frame", `${name} is too short`);
}

function exact(m: Uint8Array, length: number, name: string): void {
  if (m.length !== length)
    throw new ProtocolError("bad_frame", `${name} has ${m.length} bytes, not ${length}`);
}

function byte(m: Uint8Array, at: number): number {
  return m[at] as number; // every caller has checked the length
}

function readU32(m: Uint8Array, at: number): number {
  return ((byte(m, at) << 24) | (byte(m, at + 1) << 16) | (byte(m, at + 2) << 8) | byte(m, at + 3)) >>> 0;
}

function readId(m: Uint8Array): number {
  if (m.length < 7) throw short("a stream frame");
  return ((byte(m, 1) << 8) | byte(m, 2)) * 2 ** 32 + readU32(m, 3);
}

/** 64 bits on the wire, at most 2^53 - 1 in value, so that a JavaScript number holds it exactly. */
function readU53(m: Uint8Array, at: number): number {
  const high = readU32(m, at);
  if (high > 0x1f_ffff) throw new ProtocolError("bad_frame", "a number above 2^53 - 1");
  return high * 2 ** 32 + readU32(m, at + 4);
}

function readCode(m: Uint8Array, at: number): ErrorCode {
  return codeOfWire((byte(m, at) << 8) | byte(m, at + 1));
}

// -- encoding; the caller vouches for ranges, which its own bookkeeping guarantees

function writeU32(m: Uint8Array, at: number, value: number): void {
  m[at] = value >>> 24;
  m[at + 1] = value >>> 16;
  m[at + 2] = value >>> 8;
  m[at + 3] = value;
}

function writeU53(m: Uint8Array, at: number, value: number): void {
  writeU32(m, at, Math.floor(value / 2 ** 32));
  writeU32(m, at + 4, value % 2 ** 32);
}

function streamFrame(type: number, streamId: number, length: number): Uint8Array {
  return asStreamFrame(new Uint8Array(length), type, streamId);
}

function asStreamFrame(m: Uint8Array, type: number, streamId: number): Uint8Array {
  if (streamId > MAX_STREAM_ID) throw new RangeError("stream id");
  m[0] = type;
  const high = Math.floor(streamId / 2 ** 32);
  m[1] = high >>> 8;
  m[2] = high;
  writeU32(m, 3, streamId % 2 ** 32);
  return m;
}

/** Writes the header of a DATA frame into the first 11 bytes of `frame`; the payload stands behind it. */
export function writeDataHeader(frame: Uint8Array, streamId: number, offset: number): void {
  frame[0] = FRAME.data;
  const high = Math.floor(streamId / 2 ** 32);
  frame[1] = high >>> 8;
  frame[2] = high;
  writeU32(frame, 3, streamId % 2 ** 32);
  writeU32(frame, 7, offset % 2 ** 32);
}

function withCode(frame: Uint8Array, at: number, code: ErrorCode): Uint8Array {
  const wire = ERRORS[code].wire;
  frame[at] = wire >>> 8;
  frame[at + 1] = wire;
  return frame;
}

/** @throws ProtocolError `frame_too_large` when the texts do not fit. */
export function encodeOpen(streamId: number, request: OpenRequest): Uint8Array {
  const m = encodeFields(8, [
    [FIELD.tunnelId, request.tunnelId],
    [FIELD.target, request.target],
    [FIELD.visitor, request.visitor],
    [FIELD.host, request.host],
  ]);
  m[7] = KIND_TCP;
  return asStreamFrame(m, FRAME.open, streamId);
}

export function encodeAccept(streamId: number): Uint8Array {
  return streamFrame(FRAME.accept, streamId, 7);
}

export function encodeRefuse(streamId: number, code: ErrorCode): Uint8Array {
  return withCode(streamFrame(FRAME.refuse, streamId, 9), 7, code);
}

export function encodeData(streamId: number, offset: number, payload: Uint8Array): Uint8Array {
  const m = new Uint8Array(DATA_HEADER_BYTES + payload.length);
  writeDataHeader(m, streamId, offset);
  m.set(payload, DATA_HEADER_BYTES);
  return m;
}

export function encodeEnd(streamId: number, total: number): Uint8Array {
  const m = streamFrame(FRAME.end, streamId, 15);
  writeU53(m, 7, total);
  return m;
}

export function encodeReset(streamId: number, code: ErrorCode): Uint8Array {
  return withCode(streamFrame(FRAME.reset, streamId, 9), 7, code);
}

export function encodeWindow(streamId: number, limit: number): Uint8Array {
  const m = streamFrame(FRAME.window, streamId, 15);
  writeU53(m, 7, limit);
  return m;
}

export function encodeRelease(streamId: number, limit: number): Uint8Array {
  const m = streamFrame(FRAME.release, streamId, 15);
  writeU53(m, 7, limit);
  return m;
}

function tunnelFrame(type: number, tunnelId: number, m: Uint8Array): Uint8Array {
  m[0] = type;
  writeU32(m, 1, tunnelId);
  return m;
}

export function encodeTunnelOpen(tunnelId: number, listen: string, name: string): Uint8Array {
  const m = encodeFields(5, [
    [FIELD.listen, listen],
    [FIELD.name, name],
  ]);
  return tunnelFrame(FRAME.tunnelOpen, tunnelId, m);
}

export function encodeTunnelReady(tunnelId: number, listen: string): Uint8Array {
  return tunnelFrame(FRAME.tunnelReady, tunnelId, encodeFields(5, [[FIELD.listen, listen]]));
}

export function encodeTunnelClose(tunnelId: number): Uint8Array {
  return tunnelFrame(FRAME.tunnelClose, tunnelId, new Uint8Array(5));
}

export function encodeTunnelClosed(tunnelId: number, code: ErrorCode): Uint8Array {
  return withCode(tunnelFrame(FRAME.tunnelClosed, tunnelId, new Uint8Array(7)), 5, code);
}

/** Text beyond 1,024 bytes is cut, at a character. */
export function encodeNote(text: string): Uint8Array {
  let bytes = encoder.encode(text);
  if (bytes.length > MAX_NOTE_BYTES) {
    let end = MAX_NOTE_BYTES;
    while (((bytes[end] as number) & 0xc0) === 0x80) end -= 1; // never inside a UTF-8 sequence
    bytes = bytes.subarray(0, end);
  }
  const m = new Uint8Array(1 + bytes.length);
  m[0] = FRAME.note;
  m.set(bytes, 1);
  return m;
}

export function encodeGoaway(code: ErrorCode): Uint8Array {
  return withCode(new Uint8Array([FRAME.goaway, 0, 0]), 1, code);
}

export function encodeClose(code: ErrorCode): Uint8Array {
  return withCode(new Uint8Array([FRAME.close, 0, 0]), 1, code);
}

function tokenFrame(type: number, token: number): Uint8Array {
  const m = new Uint8Array(5);
  m[0] = type;
  writeU32(m, 1, token);
  return m;
}

export function encodePing(token: number): Uint8Array {
  return tokenFrame(FRAME.ping, token);
}

export function encodePong(token: number): Uint8Array {
  return tokenFrame(FRAME.pong, token);
}

export function encodeAck(sequence: number): Uint8Array {
  const m = new Uint8Array(9);
  m[0] = FRAME.ack;
  writeU53(m, 1, sequence);
  return m;
}

/** Does this frame take a sequence number? */
export function isSequenced(message: Uint8Array): boolean {
  return ((message[0] as number) & UNSEQUENCED_BIT) === 0;
}
