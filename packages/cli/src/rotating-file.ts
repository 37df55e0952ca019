import { closeSync, constants, fstatSync, openSync, renameSync, writeSync } from "node:fs";
import type { Sink } from "./outlet.ts";

/** Logs name clients and addresses: nobody's business but the owner's and the group's. */
const MODE = 0o640;

/**
 * A log file that does not grow for ever: at `maxBytes` it becomes `<path>.1`, in place of an older one, and a new file is
 * begun. So the two together never hold more than twice `maxBytes`.
 */
export class RotatingFile implements Sink {
  /** Writes are synchronous. */
  readonly queuedBytes = 0;
  readonly #path: string;
  readonly #maxBytes: number;
  #descriptor: number;
  #bytes: number;
  /** The last line was cut off by a full disk. */
  #isTorn = false;

  /** Opens the file and appends to what it holds. @throws the file system's error. */
  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#descriptor = openForAppend(path);
    const file = fstatSync(this.#descriptor);
    if (!file.isFile()) {
      closeSync(this.#descriptor);
      throw Object.assign(new Error("not a regular file"), { code: "ENOTREG" });
    }
    this.#bytes = file.size;
  }

  write(text: string, done: (error?: Error | null) => void): void {
    try {
      const bytes = Buffer.from(this.#isTorn ? `\n${text}` : text);
      if (this.#bytes > 0 && this.#bytes + bytes.length > this.#maxBytes) this.#rotate();
      let written = 0;
      // A disk that is nearly full takes a part.
      while (written < bytes.length) {
        const count = writeSync(this.#descriptor, bytes, written);
        written += count;
        this.#bytes += count;
        this.#isTorn = written < bytes.length;
      }
      done();
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #rotate(): void {
    renameSync(this.#path, `${this.#path}.1`);
    const fresh = openForAppend(this.#path);
    closeSync(this.#descriptor);
    this.#descriptor = fresh;
    this.#bytes = 0;
  }
}

function openForAppend(path: string): number {
  // O_NONBLOCK: a FIFO would otherwise hold up the start until somebody reads it. It changes nothing for a file.
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NONBLOCK ?? 0);
  return openSync(path, flags, MODE);
}
