import { isDeepStrictEqual } from "node:util";
import { Random } from "../../packages/chaos/src/random.ts";
import { ProtocolError } from "../../packages/protocol/src/errors.ts";
import { decodeFrame } from "../../packages/protocol/src/frame.ts";
import {
  decodeHandshake,
  encodeHello,
  encodeReject,
  encodeWelcome,
  type HandshakeMessage,
} from "../../packages/protocol/src/handshake.ts";
import { encodeFrame } from "../../packages/protocol/test/support/arbitrary-frame.ts";
import { hex } from "../../packages/protocol/test/support/hex.ts";
import { OracleRefusal, oracleDecode } from "../../packages/protocol/test/support/oracle-codec.ts";
import { keep, type Seeds } from "./corpus.ts";
import type { Fuzz } from "./fuzz.ts";
import { mutated } from "./mutation.ts";

/** Beyond this a frame of fixed length may be refused with either of two codes (docs/protocol.md, section 3.2). */
const MAX_FIXED_BYTES = 16_384;

/** The codec: any bytes give a frame or a ProtocolError, and what is a frame is written as it was read. */
export class CodecFuzz implements Fuzz {
  readonly name = "codec";
  readonly #seed: number;
  readonly #seeds: Seeds;

  constructor(seed: number, seeds: Seeds) {
    this.#seed = seed;
    this.#seeds = seeds;
  }

  round(number: number): void {
    const random = new Random(this.#seed).derive(number);
    const message = mutated(random, random.pick([this.#seeds.frames, this.#seeds.handshakes]));
    try {
      checkMessage(message);
    } catch (error) {
      const what = String(error);
      keep(`codec-${this.#seed}-${number}`, { target: "codec", what, message: hex(message) });
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is open.
  }
}

/** @throws Error when the codec does anything with it that it must not. */
export function checkMessage(message: Uint8Array): void {
  const before = message.slice();
  checkFrame(message);
  checkHandshake(message);
  if (!isDeepStrictEqual(message, before)) throw new Error("a decoder changed the message");
}

function checkFrame(message: Uint8Array): void {
  const frame = outcome(() => decodeFrame(message));
  const oracle = outcome(() => oracleDecode(message));
  const mayDiffer = message.length > MAX_FIXED_BYTES && "code" in frame && "code" in oracle;
  if (!mayDiffer && !isDeepStrictEqual(frame, oracle)) {
    throw new Error(`${JSON.stringify(frame)}, and the oracle says ${JSON.stringify(oracle)}`);
  }
  if ("code" in frame || frame.value.type === "ignored") return;
  // A kind of a later version is not written by this one.
  if (frame.value.type === "open" && frame.value.request === undefined) return;
  const again = decodeFrame(encodeFrame(frame.value));
  if (!isDeepStrictEqual(again, frame.value)) {
    throw new Error(`${JSON.stringify(frame.value)} is written as ${JSON.stringify(again)}`);
  }
}

function checkHandshake(message: Uint8Array): void {
  const first = outcome(() => decodeHandshake(message));
  if ("code" in first) {
    if (first.code === "bad_handshake" || first.code === "version_unsupported") return;
    throw new Error(`a handshake is refused with ${first.code}`);
  }
  checkBounds(JSON.parse(new TextDecoder().decode(message.subarray(1))), 1);
  const again = decodeHandshake(encodeHandshake(first.value));
  if (!isDeepStrictEqual(again, first.value)) {
    throw new Error(`${JSON.stringify(first.value)} is written as ${JSON.stringify(again)}`);
  }
}

/** Section 4.1 of docs/protocol.md, looked at once more in what was taken. */
function checkBounds(value: unknown, depth: number): void {
  if (typeof value !== "object" || value === null) return;
  if (depth > 8) throw new Error("a handshake of that depth is taken");
  for (const [key, item] of Object.entries(value)) {
    if (key === "__proto__" || key === "constructor" || key === "prototype")
      throw new Error(`${key} is taken`);
    checkBounds(item, depth + 1);
  }
}

function encodeHandshake(first: HandshakeMessage): Uint8Array {
  if (first.type === "hello") return encodeHello(first.hello);
  return first.type === "welcome" ? encodeWelcome(first.welcome) : encodeReject(first.reject);
}

/** What a decoder makes of it; everything but a refusal by the protocol is thrown on. */
function outcome<T>(decode: () => T): { readonly value: T } | { readonly code: string } {
  try {
    return { value: decode() };
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof OracleRefusal) return { code: error.code };
    throw error;
  }
}
