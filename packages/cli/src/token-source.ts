import { readSecretFile } from "./secret-file.ts";
import { UsageError } from "./usage-error.ts";

/** The shared token and where it came from; the source may be logged. */
export interface TokenFound {
  readonly token: string;
  readonly source: "--token-file" | "CULVERT_TOKEN_FILE" | "CULVERT_TOKEN";
}

/** For a file: read it from stdin, or ask for it. */
export const STDIN = "-";

const MIN_CHARACTERS = 16;
const MAX_CHARACTERS = 1024;
const MEND = "make one with: openssl rand -hex 32";

/**
 * Finds the shared token. The flag counts before the environment; the two variables at once are an error, since nobody
 * could tell which was meant. There is no flag for the token itself: every user of a machine can read command lines.
 *
 * A variable that is set but empty is an error and not "no token": that is what a failed substitution leaves behind.
 *
 * @throws UsageError; never with anything of the token.
 */
export function findToken(
  file: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): TokenFound | undefined {
  if (file !== undefined) return fromFile(file, "--token-file");
  const { CULVERT_TOKEN_FILE: envFile, CULVERT_TOKEN: envToken } = env;
  if (envFile !== undefined && envToken !== undefined) {
    throw new UsageError("CULVERT_TOKEN and CULVERT_TOKEN_FILE are both set: unset one of them.");
  }
  if (envFile !== undefined) return fromFile(envFile, "CULVERT_TOKEN_FILE");
  if (envToken === undefined) return undefined;
  return { token: checkToken(envToken.replace(/[\r\n]+$/, ""), "CULVERT_TOKEN"), source: "CULVERT_TOKEN" };
}

function fromFile(path: string, source: "--token-file" | "CULVERT_TOKEN_FILE"): TokenFound {
  if (path === "") throw new UsageError(`${source} is empty: name a file that holds the token.`);
  return { token: checkToken(readSecretFile(path, source), `the token in the file of ${source}`), source };
}

/** @throws UsageError naming `what`; never with anything of the token. */
export function checkToken(token: string, what: string): string {
  const fault = (why: string): UsageError => new UsageError(`${what} ${why}.`);
  if (token === "") throw fault(`is empty; ${MEND}`);
  if (token.length < MIN_CHARACTERS) {
    throw fault(`has ${token.length} characters, at least ${MIN_CHARACTERS} are needed; ${MEND}`);
  }
  if (token.length > MAX_CHARACTERS) throw fault(`is longer than ${MAX_CHARACTERS} characters; ${MEND}`);
  // It travels in an HTTP header.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw fault(`has a space, a line break or a character beyond ASCII in it; ${MEND}`);
  }
  return token;
}
