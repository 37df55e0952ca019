import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { platform } from "node:process";
import { shown, UsageError } from "./usage-error.ts";

/** Larger than any token or list of headers; a wrong path may name a disk image. */
const MAX_BYTES = 64 * 1024;
const READABLE_BY_OTHERS = 0o077;

/**
 * Reads a file that holds a secret, without the line breaks at its end.
 *
 * It must be a regular file (a link to one is well, that is how container platforms hand out secrets) that only its owner
 * may read. Checked on the open file, not on its name, so that nothing can change in between.
 *
 * @param flag Names the flag or variable in errors.
 * @throws UsageError; never with anything of the content.
 */
export function readSecretFile(path: string, flag: string): string {
  const fault = (why: string): UsageError => new UsageError(`${flag} ${shown(path)}: ${why}.`);
  let descriptor: number;
  try {
    // O_NONBLOCK: opening a FIFO would otherwise wait for its writer, for ever.
    descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw fault(OPEN_FAULTS[codeOf(error)] ?? `the file cannot be opened (${codeOf(error)})`);
  }
  try {
    const why = faultOf(fstatSync(descriptor), path);
    if (why !== undefined) throw fault(why);
    return readText(descriptor).replace(/[\r\n]+$/, "");
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw fault(`the file cannot be read (${codeOf(error)})`);
  } finally {
    closeSync(descriptor);
  }
}

function faultOf(file: Stats, path: string): string | undefined {
  if (file.isDirectory()) return "this is a directory; name a file";
  if (!file.isFile()) return "this is not a regular file; name one, a pipe or a device will not do";
  if (file.size > MAX_BYTES)
    return `the file is larger than ${MAX_BYTES / 1024} KiB, so it cannot be the right one`;
  if (platform !== "win32" && (file.mode & READABLE_BY_OTHERS) !== 0) {
    return `other users may read or change the file (mode ${(file.mode & 0o777).toString(8).padStart(3, "0")}); run chmod 600 ${shown(path)}`;
  }
  return undefined;
}

function readText(descriptor: number): string {
  const buffer = Buffer.alloc(MAX_BYTES);
  let length = 0;
  while (length < MAX_BYTES) {
    const count = readSync(descriptor, buffer, length, MAX_BYTES - length, null);
    if (count === 0) break;
    length += count;
  }
  return buffer.toString("utf8", 0, length);
}

function codeOf(error: unknown): string {
  const code = (error as { readonly code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "unknown reason";
}

const OPEN_FAULTS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EACCES: "this user may not read the file",
  ELOOP: "its symbolic links go round in a circle",
  ENXIO: "this is not a regular file; name one, a pipe or a device will not do",
};
