import { validateHeaderName, validateHeaderValue } from "node:http";
import { invalidOption } from "./option-reader.ts";

/** Headers of the upgrade request that only the WebSocket itself may set; `Host` comes from the URL. */
const RESERVED = new Set([
  "connection",
  "content-length",
  "host",
  "sec-websocket-accept",
  "sec-websocket-extensions",
  "sec-websocket-key",
  "sec-websocket-protocol",
  "sec-websocket-version",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
const MAX_HEADERS = 64;

/**
 * Checks headers when they are set, not when they are sent: a line break in a value would otherwise be a second header,
 * and an exception in the middle of a dial. Values are never repeated in messages, they may be secret.
 * @throws CulvertError `invalid_option`.
 */
export function checkHeaders(given: unknown, what = "headers"): Readonly<Record<string, string>> {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw invalidOption(`${what} must be an object of names and values`);
  }
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  if (entries.length > MAX_HEADERS) throw invalidOption(`${what} must have at most ${MAX_HEADERS} entries`);
  const checked: Record<string, string> = {};
  for (const [name, value] of entries) {
    if (RESERVED.has(name.toLowerCase()))
      throw invalidOption(`${what} must not set ${name}: the client sets it`);
    if (typeof value !== "string")
      throw invalidOption(`${what} must have strings as values, see ${JSON.stringify(name)}`);
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch {
      throw invalidOption(
        `${what} has a name or a value that HTTP does not allow, see ${JSON.stringify(name)}`,
      );
    }
    checked[name] = value;
  }
  return Object.freeze(checked);
}

/** Is a header of that name there, in whatever spelling? */
export function hasHeader(headers: Readonly<Record<string, string>>, name: string): boolean {
  return Object.keys(headers).some((key) => key.toLowerCase() === name);
}
