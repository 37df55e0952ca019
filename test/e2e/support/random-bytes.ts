import { type Cipheriv, createCipheriv, createHash, type Hash } from "node:crypto";

const CHUNK_BYTES = 256 * 1024;
const ZEROS = Buffer.alloc(CHUNK_BYTES);

/** Random bytes that a seed makes again, as a cipher's key stream, with the SHA-256 of those handed out. */
export class RandomBytes implements Iterable<Buffer> {
  readonly totalBytes: number;
  readonly #cipher: Cipheriv;
  readonly #hash: Hash = createHash("sha256");
  #leftBytes: number;

  constructor(seed: number, totalBytes: number) {
    const key = Buffer.alloc(16);
    key.writeUInt32BE(seed);
    this.#cipher = createCipheriv("aes-128-ctr", key, Buffer.alloc(16));
    this.totalBytes = totalBytes;
    this.#leftBytes = totalBytes;
  }

  /** In pieces of 256 KiB. */
  *[Symbol.iterator](): Iterator<Buffer> {
    while (this.#leftBytes > 0) {
      const piece = this.#cipher.update(ZEROS.subarray(0, Math.min(CHUNK_BYTES, this.#leftBytes)));
      this.#leftBytes -= piece.length;
      this.#hash.update(piece);
      yield piece;
    }
  }

  /** Of all of them. @throws Error before the last was handed out. */
  sha256(): string {
    if (this.#leftBytes > 0) throw new Error(`${this.#leftBytes} bytes were not handed out yet`);
    return this.#hash.copy().digest("hex");
  }
}
