import type { Duplex } from "node:stream";
import { SeededBytes } from "./seeded-bytes.ts";

const CHUNK_BYTES = 65_536;

/** Writes the bytes of a seed to a stream, as fast as it takes them, and then its end. */
export class SeededSource {
  /** Resolves when everything and the end was taken by the stream; rejects when that broke. */
  readonly done: Promise<number>;
  readonly #stream: Duplex;
  readonly #bytes: SeededBytes;
  #left: number;
  #sent = 0;

  /** @param count How many bytes; without it they go on until `stop`. */
  constructor(stream: Duplex, seed: number, count: number = Number.POSITIVE_INFINITY) {
    this.#stream = stream;
    this.#bytes = new SeededBytes(seed);
    this.#left = count;
    this.done = this.#run();
    this.done.catch(() => undefined); // whoever cares waits for it
  }

  /** Bytes written so far. */
  get sent(): number {
    return this.#sent;
  }

  /** No more bytes: the end comes next. */
  stop(): void {
    this.#left = 0;
  }

  #drained(): Promise<void> {
    const stream = this.#stream;
    return new Promise((resolve) => {
      const go = (): void => {
        stream.off("drain", go).off("close", go);
        resolve();
      };
      stream.on("drain", go).on("close", go);
    });
  }

  async #run(): Promise<number> {
    while (this.#left > 0) {
      const chunk = this.#bytes.next(Math.min(CHUNK_BYTES, this.#left));
      this.#left -= chunk.length;
      this.#sent += chunk.length;
      if (!this.#stream.write(chunk)) await this.#drained();
      if (this.#stream.destroyed) throw new Error(`closed after ${this.#sent} bytes were written`);
    }
    await new Promise<void>((resolve, reject) => {
      this.#stream.once("close", () => reject(new Error("closed before the end was taken")));
      this.#stream.end(resolve);
    });
    return this.#sent;
  }
}
