import { CulvertError, ProtocolError } from "./errors.ts";
import { UNSAFE_TEXT } from "./unsafe-text.ts";

/**
 * The optional fields at the end of OPEN and of tunnel frames: tag (u8), length (u16), value. Tags go strictly up, so a
 * field stands once; an unknown tag is skipped, which leaves room for newer peers.
 */
export const FIELD = {
  tunnelId: 1,
  target: 2,
  visitor: 3,
  host: 4,
  listen: 5,
  name: 6,
} as const;

/** Longest text value, bytes; a DNS name has at most 253, a unix path 107. */
const MAX_TEXT_BYTES = 512;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Fields {
  readonly #values: ReadonlyMap<number, Uint8Array>;

  constructor(values: ReadonlyMap<number, Uint8Array>) {
    this.#values = values;
  }

  /** The text of a field. Control characters are refused: these texts are dialed and logged. */
  get(tag: number): string | undefined {
    const bytes = this.#values.get(tag);
    if (bytes === undefined) return undefined;
    if (bytes.length > MAX_TEXT_BYTES) throw new ProtocolError("bad_frame", `field ${tag} is too long`);
    let text: string;
    try {
      text = decoder.decode(bytes);
    } catch {
      throw new ProtocolError("bad_frame", `field ${tag} is not UTF-8`);
    }
    if (UNSAFE_TEXT.test(text)) throw new ProtocolError("bad_frame", `field ${tag} has control characters`);
    return text;
  }

  number(tag: number): number | undefined {
    const bytes = this.#values.get(tag);
    if (bytes === undefined) return undefined;
    if (bytes.length !== 4) throw new ProtocolError("bad_frame", `field ${tag} is not a u32`);
    return bytes.reduce((sum, b) => sum * 256 + b, 0);
  }
}

/** @throws ProtocolError `bad_frame`. */
export function decodeFields(m: Uint8Array): Fields {
  const values = new Map<number, Uint8Array>();
  let last = 0;
  let at = 0;
  while (at < m.length) {
    if (at + 3 > m.length) throw new ProtocolError("bad_frame", "a field is cut short");
    const tag = m[at] as number;
    const length = (m[at + 1] as number) * 256 + (m[at + 2] as number);
    if (tag <= last) throw new ProtocolError("bad_frame", "fields out of order");
    if (at + 3 + length > m.length) throw new ProtocolError("bad_frame", "a field is cut short");
    values.set(tag, m.subarray(at + 3, at + 3 + length));
    last = tag;
    at += 3 + length;
  }
  return new Fields(values);
}

/**
 * A message with `room` bytes for its head, not filled in, and behind them the fields that have a value; a number becomes a
 * u32. Give them in the order of their tags.
 */
export function encodeFields(
  room: number,
  entries: readonly (readonly [tag: number, value: string | number | undefined])[],
): Uint8Array {
  const values: Uint8Array[] = [];
  let total = room;
  for (const [tag, value] of entries) {
    if (value === undefined) continue;
    // The peer would end the session for it, and with it every other stream: refused where it is asked for.
    if (typeof value === "string" && UNSAFE_TEXT.test(value)) {
      throw new CulvertError("bad_address", `field ${tag} has control characters`);
    }
    const bytes = typeof value === "number" ? u32(value) : encoder.encode(value);
    if (bytes.length > MAX_TEXT_BYTES) throw new ProtocolError("frame_too_large", `field ${tag}`);
    values.push(bytes);
    total += 3 + bytes.length;
  }
  const m = new Uint8Array(total);
  let at = room;
  let next = 0;
  for (const [tag, value] of entries) {
    if (value === undefined) continue;
    const bytes = values[next++] as Uint8Array;
    m[at] = tag;
    m[at + 1] = bytes.length >>> 8;
    m[at + 2] = bytes.length;
    m.set(bytes, at + 3);
    at += 3 + bytes.length;
  }
  return m;
}

function u32(value: number): Uint8Array {
  return new Uint8Array([value >>> 24, value >>> 16, value >>> 8, value]);
}
