import { existsSync } from "node:fs";
import { readInputFile } from "./input-file.ts";
import { UsageError } from "./usage-error.ts";

/** Larger than any token, key or list of headers. */
const MAX_BYTES = 64 * 1024;
/** A token of ours, one of `openssl rand -hex`, or the text of a key: where the name of a file belongs, a slip of the hand. */
const SECRET: RegExp = /^culvert_[a-z0-9]{8}_[\w-]{43}$|^[0-9a-f]{32,}$|PRIVATE KEY-----/i;

/**
 * Reads a file that holds a secret, without the line breaks at its end. Only its owner may read it.
 *
 * @param flag Names the flag or variable in errors.
 * @throws UsageError; never with anything of the content.
 */
export function readSecretFile(path: string, flag: string): string {
  if (SECRET.test(path) && !existsSync(path)) {
    throw new UsageError(
      `${flag} names a file, and got what looks like the secret itself: write that into a file (umask 077), and name the file. ` +
        "Other users can read command lines, so better make a new one.",
    );
  }
  const content = readInputFile(path, flag, { maxBytes: MAX_BYTES, access: "owner only" });
  return content.toString("utf8").replace(/[\r\n]+$/, "");
}
