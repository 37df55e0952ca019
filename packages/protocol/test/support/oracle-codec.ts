import type { ErrorCode } from "../../src/errors.ts";
import type { Frame } from "../../src/frame.ts";
import { documentedCodes, documentedTypes } from "./protocol-document.ts";

/**
 * A second codec, slow and obvious, written from the tables of docs/protocol.md section 3 alone: every frame is a list
 * of fields, every integer a BigInt. It knows nothing of frame.ts but the shape of its results, so where the two
 * disagree either the code or the document is wrong.
 */

type Kind = "u8" | "u16" | "u32" | "u48" | "u53" | "code" | "rest" | "text" | "fields";
interface Layout {
  readonly type: Frame["type"];
  readonly fields: readonly (readonly [name: string, kind: Kind])[];
  /** Longest frame; longer is `frame_too_large`. None where every length but one is `bad_frame`. */
  readonly longest?: number;
}

const WIDTH: Partial<Record<Kind, number>> = { u8: 1, u16: 2, u32: 4, u48: 6, u53: 8, code: 2 };

// The tables of sections 3.3, 3.5 and 3.6, without the type byte.
const LAYOUTS: Readonly<Record<string, Layout>> = {
  OPEN: {
    type: "open",
    longest: 16_384,
    fields: [
      ["streamId", "u48"],
      ["kind", "u8"],
      ["fields", "fields"],
    ],
  },
  ACCEPT: { type: "accept", fields: [["streamId", "u48"]] },
  REFUSE: {
    type: "refuse",
    fields: [
      ["streamId", "u48"],
      ["code", "code"],
    ],
  },
  DATA: {
    type: "data",
    longest: 65_547,
    fields: [
      ["streamId", "u48"],
      ["offset", "u32"],
      ["payload", "rest"],
    ],
  },
  END: {
    type: "end",
    fields: [
      ["streamId", "u48"],
      ["total", "u53"],
    ],
  },
  RESET: {
    type: "reset",
    fields: [
      ["streamId", "u48"],
      ["code", "code"],
    ],
  },
  WINDOW: {
    type: "window",
    fields: [
      ["streamId", "u48"],
      ["limit", "u53"],
    ],
  },
  RELEASE: {
    type: "release",
    fields: [
      ["streamId", "u48"],
      ["limit", "u53"],
    ],
  },
  TUNNEL_OPEN: {
    type: "tunnelOpen",
    longest: 16_384,
    fields: [
      ["tunnelId", "u32"],
      ["fields", "fields"],
    ],
  },
  TUNNEL_READY: {
    type: "tunnelReady",
    longest: 16_384,
    fields: [
      ["tunnelId", "u32"],
      ["fields", "fields"],
    ],
  },
  TUNNEL_CLOSE: { type: "tunnelClose", fields: [["tunnelId", "u32"]] },
  TUNNEL_CLOSED: {
    type: "tunnelClosed",
    fields: [
      ["tunnelId", "u32"],
      ["code", "code"],
    ],
  },
  NOTE: { type: "note", longest: 1025, fields: [["text", "text"]] },
  GOAWAY: { type: "goaway", fields: [["code", "code"]] },
  CLOSE: { type: "close", fields: [["code", "code"]] },
  PING: { type: "ping", fields: [["token", "u32"]] },
  PONG: { type: "pong", fields: [["token", "u32"]] },
  ACK: { type: "ack", fields: [["sequence", "u53"]] },
};

// The table of tags in section 3.4.
const TAGS: Readonly<
  Record<number, { name: string; kind: "u32" | "text"; in: readonly Frame["type"][]; required?: true }>
> = {
  1: { name: "tunnelId", kind: "u32", in: ["open"] },
  2: { name: "target", kind: "text", in: ["open"] },
  3: { name: "visitor", kind: "text", in: ["open"] },
  4: { name: "host", kind: "text", in: ["open"] },
  5: { name: "listen", kind: "text", in: ["tunnelOpen", "tunnelReady"], required: true },
  6: { name: "name", kind: "text", in: ["tunnelOpen"] },
};

const TYPES = documentedTypes();
const NAME_OF_TYPE = new Map([...TYPES].map(([name, type]) => [type, name]));
const CODES = documentedCodes();

/** Why the oracle refuses a message. */
export class OracleRefusal extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode) {
    super(code);
    this.code = code;
  }
}

export function oracleDecode(message: Uint8Array): Frame {
  if (message.length === 0) throw new OracleRefusal("bad_frame");
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const type = view.getUint8(0);
  const layout = LAYOUTS[NAME_OF_TYPE.get(type) ?? ""];
  if (layout === undefined) return decodeUnknown(type, message.length);
  checkLength(layout, message.length);
  const values: Record<string, unknown> = { type: layout.type };
  let at = 1;
  for (const [name, kind] of layout.fields) {
    if (kind === "fields") Object.assign(values, readFields(message.slice(at), layout.type, values.kind));
    else if (kind === "rest") values[name] = message.slice(at);
    else if (kind === "text") values[name] = readText(message.slice(at));
    else values[name] = readInteger(view, at, kind);
    at += WIDTH[kind] ?? 0;
  }
  return layout.type === "open" ? asOpen(values) : (values as unknown as Frame);
}

function decodeUnknown(type: number, length: number): Frame {
  const name = NAME_OF_TYPE.get(type);
  if (length > 16_384) throw new OracleRefusal("frame_too_large");
  if (name === "HELLO" || name === "WELCOME" || name === "REJECT")
    throw new OracleRefusal("unexpected_frame");
  if (type < 0x80) throw new OracleRefusal("unknown_frame");
  return { type: "ignored", sequenced: type < 0xc0 };
}

function checkLength(layout: Layout, length: number): void {
  const fixed = 1 + layout.fields.reduce((sum, [, kind]) => sum + (WIDTH[kind] ?? 0), 0);
  if (layout.longest === undefined ? length !== fixed : length < fixed) throw new OracleRefusal("bad_frame");
  if (layout.longest !== undefined && length > layout.longest) throw new OracleRefusal("frame_too_large");
}

function readInteger(view: DataView, at: number, kind: Kind): number | ErrorCode {
  let value = 0n;
  for (let i = 0; i < (WIDTH[kind] ?? 0); i += 1) value = value * 256n + BigInt(view.getUint8(at + i));
  if (kind === "u53" && value > 2n ** 53n - 1n) throw new OracleRefusal("bad_frame");
  if (kind === "code")
    return (CODES.find(({ wire }) => BigInt(wire) === value)?.name ?? "unknown_code") as ErrorCode;
  return Number(value);
}

function readFields(list: Uint8Array, type: Frame["type"], kind: unknown): Record<string, unknown> {
  const raw = new Map<number, Uint8Array>();
  const view = new DataView(list.buffer, list.byteOffset, list.length);
  let at = 0;
  let last = 0;
  while (at < list.length) {
    if (list.length - at < 3) throw new OracleRefusal("bad_frame");
    const tag = view.getUint8(at);
    const length = view.getUint16(at + 1);
    if (tag <= last || list.length - at - 3 < length) throw new OracleRefusal("bad_frame");
    raw.set(tag, list.slice(at + 3, at + 3 + length));
    last = tag;
    at += 3 + length;
  }
  const values: Record<string, unknown> = type === "tunnelOpen" ? { name: "" } : {};
  if (kind !== undefined && kind !== 1) return values; // an OPEN of another kind: its fields mean nothing here
  for (const [tag, row] of Object.entries(TAGS)) {
    if (!row.in.includes(type)) continue;
    const value = raw.get(Number(tag));
    if (value !== undefined)
      values[row.name] = row.kind === "u32" ? readNumberField(value) : readTextField(value);
    else if (row.required) throw new OracleRefusal("bad_frame");
  }
  return values;
}

function readNumberField(value: Uint8Array): number {
  if (value.length !== 4) throw new OracleRefusal("bad_frame");
  return new DataView(value.buffer, value.byteOffset).getUint32(0);
}

function readTextField(value: Uint8Array): string {
  if (value.length > 512) throw new OracleRefusal("bad_frame");
  const text = readText(value);
  if (!isPlain(text)) throw new OracleRefusal("bad_frame");
  return text;
}

function readText(value: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    throw new OracleRefusal("bad_frame");
  }
}

/** "Plain text" in the sense of section 3. */
export function isPlain(text: string): boolean {
  const excluded = [
    [0x00, 0x1f],
    [0x7f, 0x9f],
    [0x200e, 0x200f],
    [0x2028, 0x2029],
    [0x202a, 0x202e],
    [0x2066, 0x2069],
  ] as const;
  return [...text].every((character) => {
    const c = character.codePointAt(0) as number;
    return excluded.every(([from, to]) => c < from || c > to);
  });
}

function asOpen({ streamId, kind, type: _, ...fields }: Record<string, unknown>): Frame {
  const request = kind === 1 ? { kind: "tcp", ...fields } : undefined;
  return { type: "open", streamId, request } as Frame;
}

/** The bytes of a frame that this version can send. */
export function oracleEncode(frame: Frame): Uint8Array {
  const entry = Object.entries(LAYOUTS).find(([, layout]) => layout.type === frame.type);
  if (entry === undefined) throw new Error(`no layout for ${frame.type}`);
  const [name, layout] = entry;
  const values: Record<string, unknown> =
    frame.type === "open" ? { ...frame.request, streamId: frame.streamId, kind: 1 } : { ...frame };
  const out: number[] = [TYPES.get(name) as number];
  for (const [field, kind] of layout.fields) {
    if (kind === "fields") out.push(...fieldList(values, layout.type));
    else if (kind === "rest") out.push(...(values[field] as Uint8Array));
    else if (kind === "text") out.push(...new TextEncoder().encode(values[field] as string));
    else if (kind === "code")
      out.push(...integer(CODES.find((row) => row.name === values[field])?.wire as number, 2));
    else out.push(...integer(values[field] as number, WIDTH[kind] as number));
  }
  return Uint8Array.from(out);
}

function fieldList(values: Record<string, unknown>, type: Frame["type"]): number[] {
  const out: number[] = [];
  for (const [tag, row] of Object.entries(TAGS)) {
    const value = values[row.name];
    if (!row.in.includes(type) || value === undefined) continue;
    const data = row.kind === "u32" ? integer(value as number, 4) : new TextEncoder().encode(value as string);
    out.push(Number(tag), ...integer(data.length, 2), ...data);
  }
  return out;
}

function integer(value: number, width: number): number[] {
  const out: number[] = [];
  let left = BigInt(value);
  for (let i = 0; i < width; i += 1) {
    out.unshift(Number(left % 256n));
    left /= 256n;
  }
  return out;
}
