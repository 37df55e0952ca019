import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { platform } from "node:process";
import { shown, UsageError } from "./usage-error.ts";

/** What a file must be like. */
export interface FileRules {
  /** Larger than any right one: a wrong path may name a disk image. */
  readonly maxBytes: number;
  /** Who may do what with it that he must not. */
  readonly access: "owner only" | "not changed by others" | "any";
}

const ACCESS: Readonly<Record<FileRules["access"], readonly [mode: number, who: string, mend: string]>> = {
  "owner only": [0o077, "other users may read or change the file", "chmod 600"],
  "not changed by others": [0o002, "every user of this machine may change the file", "chmod o-w"],
  any: [0, "", ""],
};

/**
 * Reads a file that a flag or a variable names.
 *
 * It must be a regular file (a link to one is well, that is how container platforms hand out secrets). Checked on the open
 * file, not on its name, so that nothing can change in between.
 *
 * @param flag Names the flag or variable in errors.
 * @throws UsageError; never with anything of the content.
 */
export function readInputFile(path: string, flag: string, rules: FileRules): Buffer {
  const fault = (why: string): UsageError => new UsageError(`${flag} ${shown(path)}: ${why}.`);
  let descriptor: number;
  try {
    // O_NONBLOCK: opening a FIFO would otherwise wait for its writer, for ever.
    descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw fault(OPEN_FAULTS[codeOf(error)] ?? `the file cannot be opened (${codeOf(error)})`);
  }
  try {
    const why = faultOf(fstatSync(descriptor), path, rules);
    if (why !== undefined) throw fault(why);
    return readBytes(descriptor, rules.maxBytes);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw fault(`the file cannot be read (${codeOf(error)})`);
  } finally {
    closeSync(descriptor);
  }
}

function faultOf(file: Stats, path: string, { maxBytes, access }: FileRules): string | undefined {
  if (file.isDirectory()) return "this is a directory; name a file";
  if (!file.isFile()) return NOT_REGULAR;
  if (file.size > maxBytes)
    return `the file is larger than ${maxBytes / 1024} KiB, so it cannot be the right one`;
  const [forbidden, who, mend] = ACCESS[access];
  if (platform !== "win32" && (file.mode & forbidden) !== 0) {
    return `${who} (mode ${(file.mode & 0o777).toString(8).padStart(3, "0")}); run ${mend} ${shown(path)}`;
  }
  return undefined;
}

/** At most as many as the file may have, though it should grow meanwhile. */
function readBytes(descriptor: number, maxBytes: number): Buffer {
  const parts: Buffer[] = [];
  let length = 0;
  while (length < maxBytes) {
    const part = Buffer.alloc(Math.min(64 * 1024, maxBytes - length));
    const count = readSync(descriptor, part, 0, part.length, null);
    if (count === 0) break;
    parts.push(part.subarray(0, count));
    length += count;
  }
  return Buffer.concat(parts, length);
}

/** The name of a file system's error, as in `ENOSPC`. */
export function codeOf(error: unknown): string {
  const code = (error as { readonly code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "unknown reason";
}

const NOT_REGULAR = "this is not a regular file; name one, a pipe or a device will not do";

const OPEN_FAULTS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EACCES: "this user may not read the file",
  ELOOP: "its symbolic links go round in a circle",
  ENXIO: NOT_REGULAR,
};
