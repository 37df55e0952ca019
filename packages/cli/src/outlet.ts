import type { Writable } from "node:stream";

/** Where lines end up: a stream of the process or a file. */
export interface Sink {
  /** `done` is called once, with the error if the text was not written. Never throws. */
  write(text: string, done: (error?: Error | null) => void): void;
  /** Taken by `write` and not yet out of the process. */
  readonly queuedBytes: number;
}

/** A stream as a sink; its errors are heard here and end nothing. */
export function streamSink(stream: Writable): Sink {
  // An 'error' that nobody hears ends the process: a full disk or a closed pipe behind stdout would end every connection.
  stream.on("error", ignore);
  return {
    write: (text, done) => void stream.write(text, done),
    get queuedBytes() {
      return stream.writableLength;
    },
  };
}

export interface OutletOptions {
  /** Makes the line that says how many were lost, when writing works again. */
  readonly lostLine: (lines: number, cause: string) => string;
  /** Told once for each time that writing begins to fail. */
  readonly onTrouble?: ((cause: string) => void) | undefined;
  /** More than this is not kept for a slow reader. */
  readonly maxQueuedBytes?: number;
}

const MAX_QUEUED_BYTES = 1024 * 1024;

/**
 * Writes lines, and gets over whatever happens behind them: a full disk, a reader that is slow or gone. Lines that cannot
 * be written are dropped and counted, the process goes on; when writing works again, one line says how many were lost.
 */
export class Outlet {
  readonly #sink: Sink;
  readonly #options: OutletOptions;
  readonly #maxQueuedBytes: number;
  #lost = 0;
  #cause = "";
  #isInTrouble = false;

  constructor(sink: Sink, options: OutletOptions) {
    this.#sink = sink;
    this.#options = options;
    this.#maxQueuedBytes = options.maxQueuedBytes ?? MAX_QUEUED_BYTES;
  }

  /** Lines lost that no line has told of yet. */
  get lost(): number {
    return this.#lost;
  }

  /** Writes a line, which ends in a line break, or loses it. */
  write(line: string): void {
    if (this.#sink.queuedBytes > this.#maxQueuedBytes) {
      this.#lose(1, "the reader is too slow");
      return;
    }
    const lost = this.#lost;
    const text = lost === 0 ? line : this.#options.lostLine(lost, this.#cause) + line;
    this.#lost = 0;
    this.#sink.write(text, (error) => {
      if (error === undefined || error === null) this.#isInTrouble = false;
      else this.#lose(lost + 1, (error as NodeJS.ErrnoException).code ?? error.message);
    });
  }

  #lose(lines: number, cause: string): void {
    this.#lost += lines;
    this.#cause = cause;
    if (this.#isInTrouble) return;
    this.#isInTrouble = true;
    this.#options.onTrouble?.(cause);
  }
}

function ignore(): void {}
