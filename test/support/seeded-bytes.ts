import { type Cipheriv, createCipheriv, createHash } from "node:crypto";

/**
 * Pseudo-random bytes that a seed determines: the key stream of AES-128-CTR, which is as fast as memory and compresses
 * not at all. Two of the same seed give the same bytes, however they are divided.
 */
export class SeededBytes {
  readonly #cipher: Cipheriv;

  constructor(seed: number) {
    const key = createHash("sha256").update(`seed ${seed}`).digest().subarray(0, 16);
    this.#cipher = createCipheriv("aes-128-ctr", key, Buffer.alloc(16));
  }

  /** The next bytes, in memory of their own. */
  next(length: number): Buffer {
    return this.#cipher.update(Buffer.alloc(length));
  }
}
