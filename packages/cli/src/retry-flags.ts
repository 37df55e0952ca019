import { RETRY_DEFAULTS, type RetryOptions } from "@culvert/client";
import type { Option } from "commander";
import { countFlag, durationFlag, factorFlag } from "./flags.ts";

/** What the flags about dialing again yield. */
export interface RetryFlagValues {
  readonly connectTimeout: number;
  readonly retryMax?: number;
  readonly retryFor?: number;
  readonly retryFirst: number;
  readonly retryBase: number;
  readonly retryFactor: number;
  readonly retryCap: number;
  readonly retryResumeCap: number;
  readonly retryStable: number;
  readonly retryAfterCap: number;
  readonly retrySticky: number;
}

const R = RETRY_DEFAULTS;
const YEAR_MS = 31_536_000_000;

export function connectTimeoutFlag(): Option {
  return durationFlag("--connect-timeout", "time for a WebSocket to open", R.connectTimeoutMs);
}

/** The ladder of waits, and when to give up. */
export function retryFlags(): Option[] {
  return [
    countFlag("--retry-max", "give up after this many attempts in a row", { none: "never" }),
    durationFlag(
      "--retry-for",
      "give up after this long without a session",
      { none: "never" },
      { min: 0, max: YEAR_MS },
    ),
    durationFlag("--retry-first", "longest wait before the first attempt", R.firstDelayMs, { min: 0 }),
    durationFlag("--retry-base", "longest wait before the second", R.baseMs, { min: 0 }),
    factorFlag("--retry-factor", "each further wait may be this many times longer", R.factor),
    durationFlag("--retry-cap", "but not longer than this", R.capMs, { min: 0 }),
    durationFlag("--retry-resume-cap", "nor than this while the session can be resumed", R.resumableCapMs, {
      min: 0,
    }),
    durationFlag("--retry-stable", "a connection that held this long starts the waits anew", R.stableMs, {
      min: 0,
    }),
    durationFlag("--retry-after-cap", "longest Retry-After of a server that is honoured", R.retryAfterCapMs, {
      min: 0,
    }),
    durationFlag(
      "--retry-sticky",
      "with several URLs, keep to the server of the session for this long",
      R.stickyMs,
      { min: 0 },
    ),
  ];
}

/** The options for the library. */
export function retryOptionsOf(flags: RetryFlagValues): RetryOptions {
  return {
    connectTimeoutMs: flags.connectTimeout,
    firstDelayMs: flags.retryFirst,
    baseMs: flags.retryBase,
    factor: flags.retryFactor,
    capMs: flags.retryCap,
    resumableCapMs: flags.retryResumeCap,
    stableMs: flags.retryStable,
    retryAfterCapMs: flags.retryAfterCap,
    stickyMs: flags.retrySticky,
    ...(flags.retryMax === undefined ? {} : { maxAttempts: flags.retryMax }),
    ...(flags.retryFor === undefined ? {} : { maxElapsedMs: flags.retryFor }),
  };
}

/** Names of the library's options and their flags, for errors that the library finds. */
export const RETRY_FLAG_NAMES: Readonly<Record<string, string>> = {
  connectTimeoutMs: "--connect-timeout",
  firstDelayMs: "--retry-first",
  baseMs: "--retry-base",
  factor: "--retry-factor",
  capMs: "--retry-cap",
  resumableCapMs: "--retry-resume-cap",
  stableMs: "--retry-stable",
  retryAfterCapMs: "--retry-after-cap",
  stickyMs: "--retry-sticky",
  maxAttempts: "--retry-max",
  maxElapsedMs: "--retry-for",
};
