import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { onTestFinished } from "vitest";
import { UsageError } from "../src/usage-error.ts";

/** A directory of its own for a test; gone afterwards. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), "culvert-cli-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A file that only its owner may read, unless told otherwise. */
export function temporaryFile(content: string | Uint8Array, mode = 0o600): string {
  const path = join(temporaryDirectory(), "file");
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

/** The sentence of the UsageError that `act` throws; undefined when it throws none. */
export function sentenceOf(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return error.message;
  }
}

/** A stream that keeps what is written, and can be waited on. */
export class Recorder extends Writable {
  text = "";
  #onText: (() => void) | undefined;

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    this.#onText?.();
    done();
  }

  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }

  /** Resolves with the text when `pattern` is in it. */
  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.text)) {
      await new Promise<void>((resolve) => {
        this.#onText = resolve;
      });
    }
    return this.text;
  }
}
