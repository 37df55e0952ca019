import { FRAME } from "../../../packages/protocol/src/frame.ts";

export type FrameType = keyof typeof FRAME;

/** A frame on its way: what it is, how long its WebSocket message is in all, and how much of that is payload. */
export interface FrameMark {
  readonly type: FrameType | undefined;
  readonly bytes: number;
  readonly payloadBytes: number;
}

/** Where a connection is to end: after so many bytes of a frame. Undefined: the frame passes. */
export type FrameVerdict = number | undefined;

const NAMES = new Map<number, FrameType>(
  Object.entries(FRAME).map(([name, value]) => [value, name as FrameType]),
);
const HEAD_END = "\r\n\r\n";

/**
 * One direction of a WebSocket connection as it passes: first an HTTP head, then messages, each in one WebSocket frame
 * (RFC 6455 section 5.2). Holds back a frame until its type is known, so that it can be cut anywhere.
 */
export class FrameLane {
  readonly #judge: (mark: FrameMark) => FrameVerdict;
  #held: Buffer = Buffer.alloc(0);
  #isPastHead = false;
  /** Bytes of the present frame that still pass. */
  #left = 0;
  /** Nothing passes behind those. */
  #isLast = false;

  constructor(judge: (mark: FrameMark) => FrameVerdict) {
    this.#judge = judge;
  }

  /** What of it, and of what was held back, passes now. `cut`: and nothing ever after. */
  take(chunk: Buffer): { readonly pass: Buffer; readonly cut: boolean } {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let end = 0;
    if (!this.#isPastHead) {
      const at = this.#held.indexOf(HEAD_END);
      if (at < 0) return { pass: Buffer.alloc(0), cut: false };
      this.#isPastHead = true;
      end = at + HEAD_END.length;
    }
    for (;;) {
      const step = Math.min(this.#left, this.#held.length - end);
      end += step;
      this.#left -= step;
      if (this.#left > 0) break;
      if (this.#isLast) return { pass: this.#held.subarray(0, end), cut: true };
      const mark = markOf(this.#held.subarray(end));
      if (mark === undefined) break;
      const verdict = this.#judge(mark);
      this.#left = Math.min(verdict ?? mark.bytes, mark.bytes);
      this.#isLast = verdict !== undefined;
    }
    const pass = this.#held.subarray(0, end);
    this.#held = this.#held.subarray(end);
    return { pass, cut: false };
  }
}

/** Undefined: not enough of it is here to know. */
function markOf(bytes: Buffer): FrameMark | undefined {
  if (bytes.length < 2) return undefined;
  const isMasked = (bytes[1]! & 0x80) !== 0;
  const short = bytes[1]! & 0x7f;
  const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
  const headerBytes = 2 + lengthBytes + (isMasked ? 4 : 0);
  if (bytes.length < headerBytes) return undefined;
  const payloadBytes =
    lengthBytes === 8 ? Number(bytes.readBigUInt64BE(2)) : lengthBytes === 2 ? bytes.readUInt16BE(2) : short;
  const isData = (bytes[0]! & 0x0f) <= 2;
  if (!isData || payloadBytes === 0)
    return { type: undefined, bytes: headerBytes + payloadBytes, payloadBytes };
  if (bytes.length < headerBytes + 1) return undefined;
  const first = bytes[headerBytes]! ^ (isMasked ? bytes[headerBytes - 4]! : 0);
  return { type: NAMES.get(first), bytes: headerBytes + payloadBytes, payloadBytes };
}
