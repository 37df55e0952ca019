import { randomFillSync } from "node:crypto";
import { createRequire } from "node:module";

/** How a client masks its messages (RFC 6455 section 5.3). */
export interface Masking {
  /** The key of the next message, four bytes; it must be read at once. All zero: the message is sent as it is. */
  nextKey(): Uint8Array;
}

/** A new unpredictable key for each message: nobody whose bytes are carried decides what a middlebox sees. */
const randomMasking: Masking = { nextKey: nextRandomKey };

/**
 * Inside TLS, where no middlebox sees the bytes, a key of zeros: masking would cost a pass over all of them at each end, and
 * protects nobody (docs/protocol.md, "Masking").
 */
const zeroMasking: Masking = { nextKey: () => ZERO_KEY };

/** Which one: a server masks nothing, a client over `ws:` with random keys, over `wss:` with zeros. */
export type MaskingKind = keyof typeof MASKINGS;

/** Writes `source`, XORed with `key` over and over, to `target` from `offset` on. */
export function mask(source: Uint8Array, key: Uint8Array, target: Uint8Array, offset: number): void {
  if ((key[0]! | key[1]! | key[2]! | key[3]!) === 0) target.set(source, offset);
  else if (source.length < SHORT_BYTES) maskByBytes(source, key, target, offset);
  else maskLong(source, key, target, offset, source.length);
}

type MaskLong = (
  source: Uint8Array,
  key: Uint8Array,
  target: Uint8Array,
  offset: number,
  length: number,
) => void;

function maskByBytes(source: Uint8Array, key: Uint8Array, target: Uint8Array, offset: number): void {
  for (let i = 0; i < source.length; i += 1) target[offset + i] = source[i]! ^ key[i & 3]!;
}

/** bufferutil does it with the processor's wide registers, 20 times as fast; it is optional, as it is for ws. */
function findMaskLong(): MaskLong {
  try {
    return (createRequire(import.meta.url)("bufferutil") as { readonly mask: MaskLong }).mask;
  } catch {
    return maskByBytes;
  }
}

const maskLong = findMaskLong();
/** A call into native code costs more than this. */
const SHORT_BYTES = 48;
const ZERO_KEY = new Uint8Array(4);

const random = new Uint8Array(8192);
let randomUsed = random.length;

function nextRandomKey(): Uint8Array {
  if (randomUsed === random.length) {
    randomFillSync(random);
    randomUsed = 0;
  }
  randomUsed += 4;
  return random.subarray(randomUsed - 4, randomUsed);
}

export const MASKINGS: {
  readonly none: undefined;
  readonly random: Masking;
  readonly zero: Masking;
} = { none: undefined, random: randomMasking, zero: zeroMasking };
