import { nearest } from "@culvert/policy";
import { Option } from "commander";
import { DURATION_GRAMMAR, formatDuration, parseDuration } from "./duration.ts";
import { formatSize, parseSize, SIZE_GRAMMAR } from "./size.ts";
import { shown, UsageError } from "./usage-error.ts";

/*
 * The kinds of flags. Each kind reads its value once, at the edge, and says in one sentence what is wrong with it; behind
 * these functions there are only numbers and checked texts.
 */

/** What may be given, both ends included. */
export interface Range {
  readonly min?: number;
  readonly max?: number;
}

/** A default, or in words what holds when the flag is not given. */
type Fallback<T> = T | { readonly none: string };

const DAY_MS = 86_400_000;

/** `--grace 2m` */
export function durationFlag(
  flag: string,
  about: string,
  fallback: Fallback<number>,
  range: Range = {},
): Option {
  const { min = 1, max = DAY_MS } = range;
  return valueFlag(`${flag} <time>`, about, fallback, formatDuration, (text) => {
    const value = parseDuration(text);
    if (value === undefined) throw fault(flag, text, `is not a duration: write ${DURATION_GRAMMAR}`);
    if (value < min || value > max) throw outOfRange(flag, text, formatDuration(min), formatDuration(max));
    return value;
  });
}

/** `--replay-limit 16MiB` */
export function sizeFlag(flag: string, about: string, fallback: Fallback<number>, range: Range = {}): Option {
  const { min = 1, max = 2 ** 40 } = range;
  return valueFlag(`${flag} <size>`, about, fallback, formatSize, (text) => {
    const value = parseSize(text);
    if (value === undefined) throw fault(flag, text, `is not a size: write ${SIZE_GRAMMAR}`);
    if (value < min || value > max) throw outOfRange(flag, text, formatSize(min), formatSize(max));
    return value;
  });
}

/** `--max-streams 4096` */
export function countFlag(
  flag: string,
  about: string,
  fallback: Fallback<number>,
  range: Range = {},
): Option {
  const { min = 1, max = 1_000_000 } = range;
  return valueFlag(`${flag} <n>`, about, fallback, String, (text) => {
    if (!/^[0-9]{1,15}$/.test(text))
      throw fault(flag, text, `is not a whole number: write one from ${min} to ${max}`);
    const value = Number(text);
    if (value < min || value > max) throw outOfRange(flag, text, String(min), String(max));
    return value;
  });
}

/** `--retry-factor 1.5` */
export function factorFlag(
  flag: string,
  about: string,
  fallback: number,
  { min = 1, max = 100 }: Range = {},
): Option {
  return valueFlag(`${flag} <x>`, about, fallback, String, (text) => {
    if (!/^[0-9]{1,6}(\.[0-9]{1,6})?$/.test(text))
      throw fault(flag, text, "is not a number: write one such as 2 or 1.5");
    const value = Number(text);
    if (value < min || value > max) throw outOfRange(flag, text, String(min), String(max));
    return value;
  });
}

/** `--port 9000`; port 0 takes any free one. */
export function portFlag(flag: string, about: string, fallback: number): Option {
  return valueFlag(`${flag} <n>`, about, fallback, String, (text) => {
    if (!/^(0|[1-9][0-9]{0,4})$/.test(text) || Number(text) > 65_535) {
      throw fault(flag, text, "is not a port: write a whole number from 0 to 65535");
    }
    return Number(text);
  });
}

/** Any text; `check` throws a UsageError or returns what to keep. */
export function textFlag(
  flags: string,
  about: string,
  fallback: Fallback<string>,
  check: (text: string) => string = (text) => text,
): Option {
  return valueFlag(flags, about, fallback, String, check);
}

/** One of a few words. */
export function choiceFlag(
  flag: string,
  value: string,
  about: string,
  words: readonly string[],
  fallback: string,
): Option {
  return valueFlag(`${flag} <${value}>`, about, fallback, String, (text) => checkChoice(text, flag, words));
}

/** @throws UsageError listing the words. */
export function checkChoice(text: string, what: string, words: readonly string[]): string {
  if (words.includes(text)) return text;
  const meant = nearest(text.toLowerCase(), words);
  throw fault(
    what,
    text,
    `is not known: ${meant === undefined ? `write one of ${words.join(", ")}` : `did you mean ${meant}?`}`,
  );
}

/** A flag that may come several times; its values are read by `read`. */
export function repeatedFlag<T>(
  flags: string,
  about: string,
  none: string,
  read: (text: string) => T,
): Option {
  const option = new Option(flags, `${about} (repeatable; default: ${none})`);
  option.argParser<T[]>((text, before) => [...(before ?? []), read(guarded(text, option))]);
  return option;
}

/** Given or not given. */
export function switchFlag(flag: string, about: string): Option {
  return new Option(flag, `${about} (default: off)`);
}

function valueFlag<T>(
  flags: string,
  about: string,
  fallback: Fallback<T>,
  format: (value: T) => string,
  read: (text: string) => T,
): Option {
  const isNone = typeof fallback === "object" && fallback !== null && "none" in fallback;
  const option = new Option(flags, isNone ? `${about} (default: ${fallback.none})` : about);
  option.argParser((text) => read(guarded(text, option)));
  return isNone ? option : option.default(fallback, format(fallback as T));
}

/** A value that looks like a flag is the next flag, and the value was forgotten. */
function guarded(text: string, option: Option): string {
  if (!/^--?[A-Za-z]/.test(text)) return text;
  const name = text.replace(/=.*$/s, "");
  throw new UsageError(
    `${option.short ?? option.long} needs a value, but what follows is the flag ${shown(name)}.`,
  );
}

function fault(what: string, text: string, why: string): UsageError {
  return new UsageError(
    /[.?]$/.test(why) ? `${what} ${shown(text)} ${why}` : `${what} ${shown(text)} ${why}.`,
  );
}

function outOfRange(flag: string, text: string, min: string, max: string): UsageError {
  return fault(flag, text, `is out of range: it may be from ${min} to ${max}`);
}
