import { cutToBytes, type LogFields, safeText } from "@culvert/peer";

/** A stack is ours, not a stranger's. */
const MAX_STACK_BYTES = 8192;
/** A sentence of ours, with what a stranger said in it; the mend, such as the hash to trust, is at its end. */
const MAX_REASON_BYTES = 1024;
const MAX_DEPTH = 4;
const MAX_ENTRIES = 64;

export interface SafeFieldsOptions {
  /** Errors with their stacks; otherwise code and message only. */
  readonly withStacks?: boolean;
  /** Takes secrets out of a text. It sees each one whole, before it is cut and escaped. */
  readonly blot?: (text: string) => string;
}

/**
 * What may be logged of `fields`, of which much comes from strangers: names, paths, reasons. Texts are cut to 256 bytes,
 * a field `reason` to 1024, and control characters and those that turn the direction of writing are shown as escapes, so that nobody can forge a
 * line or steer the terminal of the person who reads it (CWE-117, CWE-150).
 */
export function safeFields(fields: LogFields, options: SafeFieldsOptions = {}): Record<string, unknown> {
  return safeRecord(fields, options, 0);
}

function blotted(text: string, { blot }: SafeFieldsOptions): string {
  return blot === undefined ? text : blot(text);
}

function textOf(text: string, options: SafeFieldsOptions, maxBytes?: number): string {
  return safeText(blotted(text, options), maxBytes);
}

function safeValue(value: unknown, options: SafeFieldsOptions, depth: number): unknown {
  switch (typeof value) {
    case "string":
      return textOf(value, options);
    case "number":
      // Times have more digits than meaning.
      return Number.isInteger(value) ? value : Math.round(value * 1000) / 1000;
    case "bigint":
      return value.toString();
    case "object":
      break;
    case "function":
    case "symbol":
      return undefined;
    default:
      return value;
  }
  if (value === null) return null;
  if (value instanceof Error) return safeError(value, options, depth);
  if (depth >= MAX_DEPTH) return "…";
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`; // payload, never shown
  if (Array.isArray(value))
    return value.slice(0, MAX_ENTRIES).map((item) => safeValue(item, options, depth + 1));
  if (value instanceof Map || value instanceof Set) return `${value.size} entries`;
  if (value instanceof Date || value instanceof URL) return textOf(String(value), options);
  return safeRecord(value as LogFields, options, depth + 1);
}

function safeRecord(fields: LogFields, options: SafeFieldsOptions, depth: number): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields).slice(0, MAX_ENTRIES)) {
    const isReason = key === "reason" && typeof value === "string";
    safe[safeText(key)] = isReason
      ? textOf(value, options, MAX_REASON_BYTES)
      : safeValue(value, options, depth);
  }
  return safe;
}

function safeError(error: Error, options: SafeFieldsOptions, depth: number): Record<string, unknown> {
  const { code, cause } = error as { readonly code?: unknown; readonly cause?: unknown };
  return {
    type: textOf(error.name, options),
    message: textOf(error.message, options),
    ...(typeof code === "string" ? { code: textOf(code, options) } : {}),
    ...(cause instanceof Error && depth < MAX_DEPTH ? { cause: safeError(cause, options, depth + 1) } : {}),
    ...(options.withStacks === true && error.stack !== undefined
      ? { stack: safeStack(blotted(error.stack, options)) }
      : {}),
  };
}

/** Its line breaks stay: JSON escapes them, and in the pretty form they are wanted. */
function safeStack(stack: string): string {
  const lines = cutToBytes(stack, MAX_STACK_BYTES).split("\n");
  return lines.map((line) => safeText(line, MAX_STACK_BYTES)).join("\n");
}
