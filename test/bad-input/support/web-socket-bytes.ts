/** What a WebSocket frame (RFC 6455 section 5.2) says of itself, true or not. */
export interface FrameHead {
  /** Default 2, binary. */
  readonly opcode?: number;
  /** Default true. */
  readonly fin?: boolean;
  /** The three reserved bits, as 0x40, 0x20 and 0x10. Default none. */
  readonly rsv?: number;
  /** Default true: what a client must do. */
  readonly masked?: boolean;
  /** What the length field says. Default: the truth. */
  readonly length?: bigint;
}

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

const MASK = [0x5a, 0x17, 0xc3, 0x99];

/** The bytes of one frame, spelled by hand, so that it may be as wrong as a test wants it. */
export function frameBytes(payload: Uint8Array, head: FrameHead = {}): Buffer {
  const { opcode = OPCODE.binary, fin = true, rsv = 0, masked = true, length } = head;
  const announced = length ?? BigInt(payload.length);
  const maskBit = masked ? 0x80 : 0;
  const first = (fin ? 0x80 : 0) | rsv | opcode;
  const parts = [Buffer.from([first, ...lengthBytes(announced, maskBit)])];
  if (masked) parts.push(Buffer.from(MASK));
  parts.push(Buffer.from(masked ? payload.map((byte, i) => byte ^ (MASK[i % 4] as number)) : payload));
  return Buffer.concat(parts);
}

function lengthBytes(length: bigint, maskBit: number): number[] {
  if (length < 126n) return [maskBit | Number(length)];
  if (length < 0x1_0000n) return [maskBit | 126, Number(length >> 8n), Number(length & 0xffn)];
  const eight = Array.from({ length: 8 }, (_, i) => Number((length >> BigInt(56 - 8 * i)) & 0xffn));
  return [maskBit | 127, ...eight];
}

/** A close frame: a code, or whatever bytes the test wants there. */
export function closeBytes(payload: number | Uint8Array, head: FrameHead = {}): Buffer {
  const bytes = typeof payload === "number" ? Uint8Array.of(payload >> 8, payload & 0xff) : payload;
  return frameBytes(bytes, { opcode: OPCODE.close, ...head });
}

export interface ReadFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** Takes frames out of a byte stream. Only for those of our own side under test, which sends no fragments. */
export class FrameReader {
  #bytes = Buffer.alloc(0);

  push(chunk: Buffer): ReadFrame[] {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    const frames: ReadFrame[] = [];
    for (let frame = this.#take(); frame !== undefined; frame = this.#take()) frames.push(frame);
    return frames;
  }

  #take(): ReadFrame | undefined {
    const bytes = this.#bytes;
    if (bytes.length < 2) return undefined;
    const short = (bytes[1] as number) & 0x7f;
    const lengthEnd = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0);
    const maskEnd = lengthEnd + (((bytes[1] as number) & 0x80) === 0 ? 0 : 4);
    if (bytes.length < maskEnd) return undefined;
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (bytes.length < maskEnd + length) return undefined;
    const mask = bytes.subarray(lengthEnd, maskEnd);
    const payload = Buffer.from(bytes.subarray(maskEnd, maskEnd + length));
    if (mask.length > 0)
      for (const i of payload.keys()) payload[i] = (payload[i] as number) ^ (mask[i % 4] as number);
    this.#bytes = bytes.subarray(maskEnd + length);
    return { opcode: (bytes[0] as number) & 0x0f, payload };
  }
}
