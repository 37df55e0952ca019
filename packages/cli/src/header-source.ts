import { validateHeaderName, validateHeaderValue } from "node:http";
import { readSecretFile } from "./secret-file.ts";
import { shown, UsageError } from "./usage-error.ts";

/**
 * Reads the values of `--header`: each `Name: value`, or `@file` with one such line after another, which keeps a secret
 * out of the command line (the file is checked like a token's). Whether a header may be set at all is the client's rule.
 *
 * @throws UsageError naming the header, never its value.
 */
export function readHeaders(values: readonly string[]): Readonly<Record<string, string>> {
  const headers = new Map<string, readonly [name: string, value: string]>();
  for (const given of values) {
    const isFile = given.startsWith("@");
    const lines = isFile ? linesOf(given.slice(1)) : [given];
    for (const line of lines) {
      const [name, value] = parseHeader(
        line,
        isFile ? `a line of the file of --header ${shown(given)}` : "--header",
      );
      const key = name.toLowerCase();
      if (headers.has(key)) throw new UsageError(`--header sets ${shown(name)} twice: remove one of them.`);
      headers.set(key, [name, value]);
    }
  }
  return Object.fromEntries(headers.values());
}

function linesOf(path: string): string[] {
  if (path === "")
    throw new UsageError(
      "--header @ names no file: write @ and the path of a file, as in --header @headers.txt.",
    );
  return readSecretFile(path, "--header")
    .split(/\r?\n/)
    .filter((line) => line.trim() !== "" && !line.startsWith("#"));
}

function parseHeader(line: string, what: string): readonly [name: string, value: string] {
  const colon = line.indexOf(":");
  if (colon <= 0)
    throw new UsageError(`${what} is not a header: write 'Name: value', with a colon after the name.`);
  const name = line.slice(0, colon).trim();
  const value = line.slice(colon + 1).trim();
  try {
    validateHeaderName(name);
  } catch {
    throw new UsageError(
      `${what}: ${shown(name)} cannot be the name of a header; use letters, digits and hyphens.`,
    );
  }
  try {
    validateHeaderValue(name, value);
  } catch {
    throw new UsageError(`${what}: the value of ${name} has characters that HTTP does not allow.`);
  }
  return [name, value];
}
