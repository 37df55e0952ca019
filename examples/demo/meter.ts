import { createHash } from "node:crypto";

/** Looks at the bytes that pass: how many, their SHA-256, and how long they ever stood still. */
export class Meter {
  bytes = 0;
  longestStallMs = 0;
  readonly #hash = createHash("sha256");
  readonly #onBytes: ((count: number) => void) | undefined;
  #lastAt: number | undefined;
  #sha256: string | undefined;

  constructor(onBytes?: (count: number) => void) {
    this.#onBytes = onBytes;
  }

  /** Lets chunks through: a step for `pipeline`. */
  readonly pass = async function* (this: Meter, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      this.#see(chunk);
      yield chunk;
    }
  }.bind(this);

  /** Reads everything. */
  async drain(chunks: AsyncIterable<Buffer>): Promise<void> {
    for await (const chunk of chunks) this.#see(chunk);
  }

  /** Of all that has passed; nothing may pass any more. */
  get sha256(): string {
    this.#sha256 ??= this.#hash.digest("hex");
    return this.#sha256;
  }

  #see(chunk: Buffer): void {
    const now = performance.now();
    if (this.#lastAt !== undefined) this.longestStallMs = Math.max(this.longestStallMs, now - this.#lastAt);
    this.#lastAt = now;
    this.bytes += chunk.length;
    this.#hash.update(chunk);
    this.#onBytes?.(chunk.length);
  }
}
