import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { codeOf } from "./input-file.ts";
import { shown, UsageError } from "./usage-error.ts";

/** A file to be made. */
export interface NewFile {
  readonly path: string;
  readonly text: string;
  /** Only its owner may read it. */
  readonly isSecret: boolean;
}

/**
 * Makes these files, all or none, and never over another one: a key that is overwritten is lost, and whoever relies on it is
 * locked out. A link that is in the way counts as a file, wherever it points to.
 *
 * @param what Names the argument or flag in errors.
 * @throws UsageError; never with anything of the content.
 */
export function writeNewFiles(files: readonly NewFile[], what: string): void {
  const made: string[] = [];
  try {
    for (const file of files) {
      const descriptor = openNew(file, what);
      made.push(file.path);
      fill(descriptor, file, what);
    }
  } catch (error) {
    for (const path of made) rmSync(path, { force: true });
    throw error;
  }
}

/** Puts a file in the place of another at once: who reads meanwhile sees the old one or the new one, and never a part. */
export function replaceFile(file: NewFile, what: string): void {
  const part = { ...file, path: `${file.path}.${randomBytes(6).toString("hex")}.part` };
  writeNewFiles([part], what);
  try {
    renameSync(part.path, file.path);
  } catch (error) {
    rmSync(part.path, { force: true });
    throw notWritten(what, file.path, error);
  }
}

function openNew({ path, isSecret }: NewFile, what: string): number {
  try {
    return openSync(path, "wx", isSecret ? 0o600 : 0o644);
  } catch (error) {
    if (codeOf(error) === "EEXIST") {
      throw new UsageError(
        `${what} ${shown(path)}: there is such a file, and it is not overwritten: choose another name, or remove it first.`,
      );
    }
    throw notWritten(what, path, error);
  }
}

function fill(descriptor: number, { path, text }: NewFile, what: string): void {
  try {
    const bytes = Buffer.from(text);
    for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
    fsyncSync(descriptor);
  } catch (error) {
    throw notWritten(what, path, error);
  } finally {
    closeSync(descriptor);
  }
}

function notWritten(what: string, path: string, error: unknown): UsageError {
  return new UsageError(
    `${what} ${shown(path)} cannot be written (${codeOf(error)}): name a file in a directory where this user may write.`,
  );
}
