import type { LogFields, Logger, LogMethod } from "@culvert/peer";
import { safeText } from "@culvert/peer";
import { type Logger as PinoLogger, pino } from "pino";
import { LogLimit } from "./log-limit.ts";
import { Outlet, type Sink } from "./outlet.ts";
import { prettyLine } from "./pretty-line.ts";
import { type SafeFieldsOptions, safeFields } from "./safe-fields.ts";
import { Secrets } from "./secrets.ts";

/** From everything to hardly anything. */
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `auto`: pretty on a terminal, JSON otherwise. */
export const LOG_FORMATS = ["auto", "pretty", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: Exclude<LogFormat, "auto">;
  /** Colours in the pretty form. */
  readonly color: boolean;
  readonly sink: Sink;
  /** Texts that no line may contain, whatever put them there. */
  readonly secrets?: Secrets;
  /** Monotonic clock, ms. */
  readonly now?: () => number;
}

/**
 * The log of the command: pino's lines, one a call, to a sink that survives everything. Fields are made harmless, secrets
 * are blotted out, one message cannot flood it (at `info` and above; who asks for more is shown all of it).
 */
export function createLog(options: LogOptions): Logger {
  const { level, secrets = new Secrets() } = options;
  const render = options.format === "json" ? (line: string) => line : prettyLine(options.color);
  const outlet = new Outlet(options.sink, {
    lostLine: (lines, cause) => render(lostLine(lines, cause)),
  });
  const root = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => outlet.write(render(line)) },
  );
  const safety = {
    withStacks: level === "debug" || level === "trace",
    blot: (text: string) => secrets.blot(text),
  };
  return wrap(root, new LogLimit(options.now ?? (() => performance.now())), safety);
}

function wrap(inner: PinoLogger, limit: LogLimit, safety: Required<SafeFieldsOptions>): Logger {
  const safeMessage = (message: string): string => safeText(safety.blot(message));
  const free = (level: LogLevel): LogMethod => {
    return (fields, message) => {
      if (inner.isLevelEnabled(level)) inner[level](safeFields(fields, safety), safeMessage(message));
    };
  };
  const limited = (level: LogLevel): LogMethod => {
    return (fields, message) => {
      if (!inner.isLevelEnabled(level)) return;
      const suppressed = limit.admit(message);
      if (suppressed === undefined) return;
      const safe = safeFields(fields, safety);
      if (suppressed > 0) safe.suppressed = suppressed;
      inner[level](safe, safeMessage(message));
    };
  };
  return {
    trace: free("trace"),
    debug: free("debug"),
    info: limited("info"),
    warn: limited("warn"),
    error: limited("error"),
    child: (bindings: LogFields) =>
      wrap(inner.child(safeFields(bindings, { blot: safety.blot })), limit, safety),
  };
}

function lostLine(lost: number, cause: string): string {
  const line = { level: "warn", time: new Date().toISOString(), lost, cause, msg: "log lines were lost" };
  return `${JSON.stringify(line)}\n`;
}
