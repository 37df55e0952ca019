import { readLoginKey } from "@culvert/peer";
import type { Environment } from "./environment.ts";
import { asUsage } from "./option-fault.ts";
import { readSecretFile } from "./secret-file.ts";
import { findToken, STDIN } from "./token-source.ts";
import { UsageError } from "./usage-error.ts";

/** By what a client logs in, and which flag or variable said so, which may be logged. */
export type Credential =
  | {
      readonly kind: "token";
      readonly token: string;
      readonly source: string;
      /** Reads the file once more, which may have been exchanged. Undefined: it did not come from one. @throws UsageError */
      readonly readAgain: (() => string) | undefined;
    }
  /** A token that is still to be read from stdin. */
  | { readonly kind: "asked"; readonly source: "--token-file" }
  | { readonly kind: "key"; readonly pem: string; readonly source: string };

export interface CredentialFlags {
  readonly tokenFile?: string;
  readonly loginKey?: string;
}

/**
 * Finds what a client logs in by: a token or a key. A flag counts before the environment; two flags, or variables for both,
 * are an error, since nobody could tell which was meant.
 * @throws UsageError; never with anything secret.
 */
export function findCredential(flags: CredentialFlags, env: Environment): Credential | undefined {
  const { tokenFile, loginKey } = flags;
  if (tokenFile !== undefined && loginKey !== undefined) {
    throw new UsageError("--token-file and --login-key exclude each other: leave out one of them.");
  }
  if (loginKey !== undefined) return keyFrom(loginKey, "--login-key");
  if (tokenFile === STDIN) return { kind: "asked", source: "--token-file" };
  const envKey = env.CULVERT_LOGIN_KEY_FILE;
  if (tokenFile === undefined && envKey !== undefined) {
    const other = ["CULVERT_TOKEN", "CULVERT_TOKEN_FILE"].find((name) => env[name] !== undefined);
    if (other !== undefined) {
      throw new UsageError(`${other} and CULVERT_LOGIN_KEY_FILE are both set: unset one of them.`);
    }
    return keyFrom(envKey, "CULVERT_LOGIN_KEY_FILE");
  }
  const found = findToken(tokenFile, env);
  if (found === undefined) return undefined;
  const readAgain = (): string => findToken(tokenFile, env)!.token;
  return { kind: "token", ...found, readAgain: found.source === "CULVERT_TOKEN" ? undefined : readAgain };
}

function keyFrom(path: string, source: string): Credential {
  if (path === "") throw new UsageError(`${source} is empty: name a file that holds the key.`);
  const pem = readSecretFile(path, source);
  asUsage(() => readLoginKey(pem), `${source}: `);
  return { kind: "key", pem, source };
}
