import { createCipheriv, createHash } from "node:crypto";

/**
 * A prime: no multiple of a frame, a read or a window is a multiple of it, so that bytes which come at a wrong position,
 * twice or not at all are never by chance the expected ones.
 */
const LENGTH = 1_048_573;

/** The most that one {@link Tape.read} gives. */
export const MAX_READ_BYTES = 65_536;

/**
 * Random bytes in a loop, made from the seed. Every direction of every connection says what stands on it from a place of
 * its own on, so that each byte is known by its position, at the price of a comparison of memory.
 */
export class Tape {
  readonly #bytes: Buffer;

  constructor(seed: number) {
    const key = createHash("sha256").update(`soak ${seed}`).digest().subarray(0, 16);
    const cipher = createCipheriv("aes-128-ctr", key, Buffer.alloc(16));
    const loop = cipher.update(Buffer.alloc(LENGTH));
    this.#bytes = Buffer.concat([loop, loop.subarray(0, MAX_READ_BYTES)]);
  }

  /** Where a direction begins; two of one run never begin in the same place until a million went by. */
  static placeOf(connection: number, direction: "up" | "down"): number {
    return (connection * 7_919 + (direction === "up" ? 0 : 524_287)) % LENGTH;
  }

  /** What stands at `position` behind `place`: memory of the tape itself, not to be written. */
  read(place: number, position: number, length: number): Buffer {
    const from = (place + position) % LENGTH;
    return this.#bytes.subarray(from, from + Math.min(length, MAX_READ_BYTES));
  }

  /** Returns the index of the first byte of `chunk` that is not the one at its position, or -1. */
  firstWrong(chunk: Uint8Array, place: number, position: number): number {
    for (let at = 0; at < chunk.length; ) {
      const expected = this.read(place, position + at, chunk.length - at);
      const given = chunk.subarray(at, at + expected.length);
      if (!expected.equals(given)) return at + given.findIndex((byte, index) => byte !== expected[index]);
      at += expected.length;
    }
    return -1;
  }

  /** Where on the tape `sample` stands, relative to `place`, for saying what a wrong byte may be; undefined if nowhere. */
  find(sample: Uint8Array, place: number): number | undefined {
    const at = this.#bytes.indexOf(sample);
    return at < 0 ? undefined : (at - place + 2 * LENGTH) % LENGTH;
  }
}
