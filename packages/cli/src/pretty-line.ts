import { prettyFactory } from "pino-pretty";

/** Keys that have places of their own in the line. */
const PLACED: ReadonlySet<string> = new Set(["level", "time", "msg"]);

/**
 * Turns a JSON log line into one for people: time, level, message, and fields as `key=value`. A session's id is shortened
 * to its first eight random digits, enough to tell sessions apart by eye; the JSON form has it whole.
 */
export function prettyLine(withColors: boolean): (jsonLine: string) => string {
  const render = prettyFactory({
    colorize: withColors,
    translateTime: "SYS:HH:MM:ss.l",
    // Fields are part of the message here; `name` would be shown as the logger's.
    hideObject: true,
    ignore: "name,pid,hostname",
    messageFormat: (line, messageKey, _levelLabel, { colors }) => {
      const fields = fieldsOf(line);
      const message = String(line[messageKey] ?? "");
      return fields === "" ? message : `${message}${withColors ? colors.dim(fields) : fields}`;
    },
  });
  return (jsonLine) => render(jsonLine);
}

function fieldsOf(line: Readonly<Record<string, unknown>>): string {
  let fields = "";
  let stack = "";
  for (const [key, value] of Object.entries(line)) {
    if (PLACED.has(key)) continue;
    if (isError(value)) {
      fields += ` ${quoted(key)}=${quoted(value.message)}`;
      stack += value.stack === undefined ? "" : `\n    ${value.stack.replaceAll("\n", "\n    ")}`;
    } else fields += ` ${quoted(key)}=${shownValue(key, value)}`;
  }
  return fields + stack;
}

function shownValue(key: string, value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value);
  if (key === "session") return quoted(value.replace(/^[0-9a-f]+\.([0-9a-f]{8})[0-9a-f]*$/, "$1"));
  return quoted(value);
}

/**
 * Quotes only where it would be unclear what belongs to the value, and then escapes as JSON does: strangers choose many
 * values, and none may look like further fields.
 */
function quoted(text: string): string {
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}

function isError(value: unknown): value is { readonly message: string; readonly stack?: string } {
  return (
    typeof value === "object" &&
    value !== null &&
    "type" in value &&
    "message" in value &&
    typeof value.message === "string"
  );
}
