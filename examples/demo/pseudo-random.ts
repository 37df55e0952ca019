import { createCipheriv, createHash } from "node:crypto";
import { Readable } from "node:stream";

const ZEROS = Buffer.alloc(64 * 1024);

/**
 * A stream of `bytes` bytes that no one can guess or compress, made as fast as they can be sent: the key stream of a
 * cipher. The same seed gives the same bytes, and no piece of them comes twice, so nothing lost or doubled can hide.
 */
export function pseudoRandom(seed: string, bytes: number): Readable {
  const key = createHash("sha256").update(seed).digest();
  const cipher = createCipheriv("aes-256-ctr", key, Buffer.alloc(16));
  let left = bytes;
  return new Readable({
    highWaterMark: 4 * ZEROS.length,
    read() {
      const length = Math.min(left, ZEROS.length);
      left -= length;
      this.push(length === 0 ? null : cipher.update(ZEROS.subarray(0, length)));
    },
  });
}
