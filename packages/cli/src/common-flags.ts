import type { Option } from "commander";
import type { Environment } from "./environment.ts";
import { checkChoice, choiceFlag, countFlag, durationFlag, sizeFlag, switchFlag, textFlag } from "./flags.ts";
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from "./log.ts";
import { UsageError } from "./usage-error.ts";

/** What both commands have besides their own flags. */
export interface CommonFlagValues {
  readonly drain: number;
  readonly maxSockets?: number;
  readonly json?: true;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly logFile?: string;
  readonly logFileSize?: number;
  /** Of `culvert server` only. */
  readonly auditLog?: string;
  /** `-`: from stdin. */
  readonly tokenFile?: string;
}

/** A file that is begun anew at this size. */
export interface FileSettings {
  readonly path: string;
  readonly maxBytes: number;
}

/** How the command speaks: on stdout, on stderr, in a file. */
export interface OutputSettings {
  /** Ready lines as JSON. */
  readonly json: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly logFile: FileSettings | undefined;
  /** Of a server. */
  readonly auditLog: FileSettings | undefined;
}

const DEFAULT_DRAIN_MS = 10_000;
const DEFAULT_LOG_FILE_BYTES = 10 * 2 ** 20;
const HOUR_MS = 3_600_000;

export const OUTPUT_GROUP = "Output:";

/** There is no flag for the token itself: every user of a machine can read command lines. */
export function tokenFileFlag(about: string): Option {
  return textFlag("--token-file <file>", about, { none: "CULVERT_TOKEN, or none" });
}

export function drainFlag(): Option {
  return durationFlag(
    "--drain",
    "after SIGINT or SIGTERM, time for open connections to finish",
    DEFAULT_DRAIN_MS,
    {
      min: 0,
      max: HOUR_MS,
    },
  );
}

/** Without it, what the descriptors of the process allow, see `mostSockets`. */
export function maxSocketsFlag(about: string): Option {
  return countFlag("--max-sockets", about, { none: "by its descriptors" });
}

export function outputFlags(): Option[] {
  return [
    switchFlag("--json", "write the ready lines on stdout as JSON"),
    choiceFlag(
      "--log-level",
      "level",
      `${LOG_LEVELS.join(", ")} (env: CULVERT_LOG_LEVEL)`,
      LOG_LEVELS,
      "info",
    ),
    choiceFlag(
      "--log-format",
      "format",
      "pretty, json, or auto: pretty on a terminal (env: CULVERT_LOG_FORMAT)",
      LOG_FORMATS,
      "auto",
    ),
    textFlag("--log-file <file>", "log to this file instead of stderr", { none: "stderr" }),
    sizeFlag(
      "--log-file-size",
      "at this size the log file becomes <file>.1 and a new one is begun",
      { none: "10MiB" },
      { min: 4096 },
    ),
  ];
}

/**
 * The settings of the output; a flag counts before its variable.
 * @param isDefault Was the flag not given?
 * @throws UsageError
 */
export function outputSettingsOf(
  flags: CommonFlagValues,
  env: Environment,
  isDefault: (flag: "logLevel" | "logFormat") => boolean,
): OutputSettings {
  const { auditLog } = flags;
  if (flags.logFileSize !== undefined && (flags.logFile ?? auditLog) === undefined) {
    throw new UsageError("--log-file-size means nothing without --log-file: add it, or leave both out.");
  }
  const maxBytes = flags.logFileSize ?? DEFAULT_LOG_FILE_BYTES;
  return {
    json: flags.json === true,
    logLevel: isDefault("logLevel")
      ? fromEnvironment(env, "CULVERT_LOG_LEVEL", LOG_LEVELS, flags.logLevel)
      : flags.logLevel,
    logFormat: isDefault("logFormat")
      ? fromEnvironment(env, "CULVERT_LOG_FORMAT", LOG_FORMATS, flags.logFormat)
      : flags.logFormat,
    logFile: flags.logFile === undefined ? undefined : { path: flags.logFile, maxBytes },
    auditLog: auditLog === undefined ? undefined : { path: auditLog, maxBytes },
  };
}

/** A variable that is empty counts as not set. */
function fromEnvironment<T extends string>(
  env: Environment,
  name: string,
  words: readonly T[],
  fallback: T,
): T {
  const value = env[name];
  return value === undefined || value === "" ? fallback : (checkChoice(value, name, words) as T);
}
