import { type ErrorCode, ProtocolError } from "./errors.ts";
import { UNSAFE_TEXT } from "./unsafe-text.ts";

/** JSON from a peer: bounded in depth, without duplicate keys, read key by key into fresh objects. */

export type JsonObject = Readonly<Record<string, unknown>>;

const MAX_DEPTH = 8;
const MAX_ENTRIES = 256;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Parses an object out of bytes. The text is scanned before it is parsed, so that depth, entry count and duplicate keys
 * are refused before a value is built.
 * @throws ProtocolError `bad_handshake`.
 */
export function parseBoundedJson(bytes: Uint8Array, code: ErrorCode = "bad_handshake"): JsonObject {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new ProtocolError(code, "not UTF-8");
  }
  let value: unknown;
  try {
    checkShape(text, code);
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    throw new ProtocolError(code, "not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ProtocolError(code, "not a JSON object");
  }
  return value as JsonObject;
}

/** One pass over the text: strings are skipped as JSON strings, brackets counted, keys of each open object remembered. */
function checkShape(text: string, code: ErrorCode): void {
  const keys: (Set<string> | undefined)[] = [];
  let entries = 0;
  let i = 0;
  while (i < text.length) {
    const c = text[i];
    if (c === "{" || c === "[") {
      keys.push(c === "{" ? new Set() : undefined);
      if (keys.length > MAX_DEPTH) throw new ProtocolError(code, `nested deeper than ${MAX_DEPTH}`);
    } else if (c === "}" || c === "]") {
      keys.pop();
    } else if (c === "," || c === ":") {
      entries += 1;
      if (entries > MAX_ENTRIES) throw new ProtocolError(code, `more than ${MAX_ENTRIES} entries`);
    } else if (c === '"') {
      const end = endOfString(text, i);
      const after = skipSpace(text, end);
      if (text[after] === ":") addKey(keys.at(-1), JSON.parse(text.slice(i, end)) as string, code);
      i = end;
      continue;
    }
    i += 1;
  }
}

function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i += 1) {
    if (text[i] === "\\") i += 1;
    else if (text[i] === '"') return i + 1;
  }
  return text.length;
}

function skipSpace(text: string, start: number): number {
  let i = start;
  while (i < text.length && " \t\r\n".includes(text[i] as string)) i += 1;
  return i;
}

function addKey(keys: Set<string> | undefined, key: string, code: ErrorCode): void {
  if (keys === undefined) return; // a string before ':' inside an array: JSON.parse refuses it
  if (keys.has(key)) throw new ProtocolError(code, "a key stands twice");
  // Reading is by own property into new objects, so these could do no harm; nobody honest sends them, though.
  if (key === "__proto__" || key === "constructor" || key === "prototype") {
    throw new ProtocolError(code, "a key that is not allowed");
  }
  keys.add(key);
}

/** Reads known keys of an object with their types and bounds; unknown keys are ignored, for newer peers. */
export class JsonReader {
  readonly #object: JsonObject;
  readonly #code: ErrorCode;
  readonly #path: string;

  constructor(object: JsonObject, code: ErrorCode, path = "") {
    this.#object = object;
    this.#code = code;
    this.#path = path;
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#object, key);
  }

  /** A string of `min` to `max` UTF-16 units without control characters. */
  string(key: string, min: number, max: number): string {
    const value = this.#get(key);
    if (typeof value !== "string" || value.length < min || value.length > max) {
      throw this.#fault(key, `a string of ${min} to ${max} characters`);
    }
    if (UNSAFE_TEXT.test(value)) {
      throw this.#fault(key, "a string without control characters");
    }
    return value;
  }

  matching(key: string, pattern: RegExp): string {
    const value = this.#get(key);
    if (typeof value !== "string" || value.length > 4096 || !pattern.test(value))
      throw this.#fault(key, `${pattern}`);
    return value;
  }

  integer(key: string, min: number, max: number): number {
    const value = this.#get(key);
    if (
      typeof value !== "number" ||
      !Number.isInteger(value) ||
      value < min ||
      value > max ||
      Object.is(value, -0)
    ) {
      throw this.#fault(key, `an integer from ${min} to ${max}`);
    }
    return value;
  }

  object(key: string): JsonReader {
    const value = this.#get(key);
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw this.#fault(key, "an object");
    return new JsonReader(value as JsonObject, this.#code, `${this.#path}${key}.`);
  }

  optionalObject(key: string): JsonReader | undefined {
    return this.has(key) ? this.object(key) : undefined;
  }

  #get(key: string): unknown {
    return this.has(key) ? this.#object[key] : undefined;
  }

  #fault(key: string, wanted: string): ProtocolError {
    return new ProtocolError(this.#code, `"${this.#path}${key}" must be ${wanted}`);
  }
}
