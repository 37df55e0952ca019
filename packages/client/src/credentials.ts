import { type LoginKey, readLoginKey } from "@culvert/peer";
import type { TokenProvider } from "./dial-provider.ts";
import { invalidOption, type OptionReader } from "./option-reader.ts";

/** @throws CulvertError `invalid_option`. */
export function resolveToken(read: OptionReader): string | TokenProvider | undefined {
  const token = read.get("token");
  if (token === undefined) return undefined;
  return typeof token === "function" ? (token as TokenProvider) : checkToken(token);
}

/** A secret that is empty must stop the start, not pass for "none". @throws CulvertError `invalid_option`. */
export function checkToken(token: unknown, what = "token"): string {
  if (typeof token === "string" && /^[\x21-\x7e]{1,1024}$/.test(token)) return token;
  throw invalidOption(`${what} must be 1 to 1024 visible ASCII characters without spaces`);
}

/** @throws CulvertError `invalid_option`. */
export function resolveKey(read: OptionReader): LoginKey | undefined {
  const key = read.get("key");
  if (key === undefined) return undefined;
  if (read.has("token")) throw invalidOption("token and key exclude each other");
  if (typeof key === "string" || Buffer.isBuffer(key)) return readLoginKey(key);
  throw read.fault("key", "the text of a PEM file", key);
}
