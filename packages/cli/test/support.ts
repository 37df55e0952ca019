import { EventEmitter } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { onTestFinished } from "vitest";
import { run } from "../src/run.ts";
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

/** What a command that does one thing and ends leaves behind. */
export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs such a command in this process. */
export async function outcomeOf(
  argv: readonly string[],
  given: { readonly stdin?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Outcome> {
  const [stdout, stderr] = [new Recorder(), new Recorder()];
  const stdin = Readable.from([Buffer.from(given.stdin ?? "")]);
  const exitCode = await run(argv, given.env ?? {}, { stdin, stdout, stderr }, new EventEmitter());
  return { exitCode, stdout: stdout.text, stderr: stderr.text };
}
