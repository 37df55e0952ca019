import type { Duplex } from "node:stream";
import { SeededBytes } from "./seeded-bytes.ts";

/** Reads a stream and compares each byte with the bytes of a seed. */
export class SeededSink {
  /** The number of bytes, when the end came; rejects at the first wrong byte, and when the stream breaks before. */
  readonly whole: Promise<number>;
  readonly #expected: SeededBytes;
  #received = 0;

  /** @param first Bytes that were read from the stream before. */
  constructor(stream: Duplex, seed: number, first: Buffer = Buffer.alloc(0)) {
    this.#expected = new SeededBytes(seed);
    this.whole = new Promise((resolve, reject) => {
      const take = (chunk: Buffer): void => {
        const expected = this.#expected.next(chunk.length);
        if (!expected.equals(chunk)) {
          const at = chunk.findIndex((byte, index) => byte !== expected[index]);
          reject(new Error(`seed ${seed}: byte ${this.#received + at} is wrong`));
        }
        this.#received += chunk.length;
      };
      take(first);
      if (stream.readableEnded) resolve(this.#received);
      stream.on("data", take);
      stream.once("end", () => resolve(this.#received));
      stream.once("error", (error) => reject(this.#broken(error.message)));
      stream.once("close", () => reject(this.#broken("closed")));
    });
    this.whole.catch(() => undefined); // whoever cares waits for it
  }

  /** Bytes read so far. */
  get received(): number {
    return this.#received;
  }

  #broken(reason: string): Error {
    return new Error(`broken after ${this.#received} bytes: ${reason}`);
  }
}
