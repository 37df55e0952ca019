import { CulvertError } from "@culvert/protocol";
import { isPlainText } from "./plain-text.ts";

/** `invalid_option` with a sentence that names the option, what it must be and what was given. */
export function invalidOption(detail: string, cause?: unknown): CulvertError {
  return new CulvertError("invalid_option", detail, cause === undefined ? undefined : { cause });
}

/**
 * Reads one object of options, key by key. Every fault is a `CulvertError` `invalid_option` that names the path of the
 * option. A key that is present with the value `undefined` counts as absent.
 */
export class OptionReader {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;

  /** @param path What stands before the key in messages: `""` or for example `"retry."`. */
  constructor(given: unknown, path: string, keys: readonly string[]) {
    if (typeof given !== "object" || given === null || Array.isArray(given)) {
      throw invalidOption(`${path === "" ? "the options" : path.slice(0, -1)} must be an object`);
    }
    this.#values = given as Record<string, unknown>;
    this.#path = path;
    for (const key of Object.keys(given)) {
      if (!keys.includes(key)) {
        throw invalidOption(`there is no option ${path}${key}; there are: ${keys.join(", ")}`);
      }
    }
  }

  path(key: string): string {
    return `${this.#path}${key}`;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  get(key: string): unknown {
    return Object.hasOwn(this.#values, key) ? this.#values[key] : undefined;
  }

  integer(key: string, min: number, max: number, fallback: number): number {
    return this.optionalInteger(key, min, max) ?? fallback;
  }

  optionalInteger(key: string, min: number, max: number): number | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
      throw this.fault(key, `an integer from ${min} to ${max}`, value);
    }
    return value;
  }

  number(key: string, min: number, max: number, fallback: number): number {
    const value = this.get(key);
    if (value === undefined) return fallback;
    if (typeof value !== "number" || !(value >= min && value <= max)) {
      throw this.fault(key, `a number from ${min} to ${max}`, value);
    }
    return value;
  }

  /** Text of `min` to `max` characters, 255 at most, that the peer will take, see {@link isPlainText}. The text itself is never repeated: it may be secret. */
  optionalText(key: string, min: number, max: number): string | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    if (typeof value !== "string") throw this.fault(key, "a string", value);
    if (value.length < min || value.length > max) {
      throw invalidOption(`${this.path(key)} must have ${min} to ${max} characters, it has ${value.length}`);
    }
    if (!isPlainText(value)) throw invalidOption(`${this.path(key)} must not contain control characters`);
    return value;
  }

  fault(key: string, wanted: string, value: unknown): CulvertError {
    const shown = typeof value === "number" || typeof value === "boolean" ? String(value) : kindOf(value);
    return invalidOption(`${this.path(key)} must be ${wanted}, not ${shown}`);
  }
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" || typeof value === "undefined"
    ? `an ${typeof value}`
    : `a ${typeof value}`;
}
