import type { Duplex } from "node:stream";
import { SeededBytes } from "../../support/seeded-bytes.ts";
import type { SeededSink } from "../../support/seeded-sink.ts";

const CHUNK_BYTES = 32 * 1024;
/** More than any window that a short test grows to, and little enough that the rest of it is soon there. */
const LEAD_BYTES = 1024 * 1024;

/**
 * Writes the bytes of a seed for as long as it is not stopped, always ahead of its reader and never far ahead: otherwise
 * the kernel's buffers alone would be minutes of a slow line.
 */
export class PacedSource {
  readonly #stream: Duplex;
  readonly #sink: SeededSink;
  readonly #bytes: SeededBytes;
  #sent = 0;
  #isStopped = false;

  constructor(stream: Duplex, seed: number, sink: SeededSink, sinkStream: Duplex) {
    this.#stream = stream;
    this.#sink = sink;
    this.#bytes = new SeededBytes(seed);
    sinkStream.on("data", () => this.#fill());
    stream.on("drain", () => this.#fill());
    this.#fill();
  }

  /** No more bytes: the end comes next. Returns how many there were. */
  stop(): number {
    this.#isStopped = true;
    this.#stream.end();
    return this.#sent;
  }

  #fill(): void {
    while (!this.#isStopped && !this.#stream.destroyed && this.#sent < this.#sink.received + LEAD_BYTES) {
      this.#sent += CHUNK_BYTES;
      if (!this.#stream.write(this.#bytes.next(CHUNK_BYTES))) return;
    }
  }
}
