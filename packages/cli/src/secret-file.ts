import { readInputFile } from "./input-file.ts";

/** Larger than any token, key or list of headers. */
const MAX_BYTES = 64 * 1024;

/**
 * Reads a file that holds a secret, without the line breaks at its end. Only its owner may read it.
 *
 * @param flag Names the flag or variable in errors.
 * @throws UsageError; never with anything of the content.
 */
export function readSecretFile(path: string, flag: string): string {
  const content = readInputFile(path, flag, { maxBytes: MAX_BYTES, access: "owner only" });
  return content.toString("utf8").replace(/[\r\n]+$/, "");
}
