import process from "node:process";
import type { RetryOptions } from "@culvert/client";

/**
 * CULVERT_FULL_LENGTH=1: everything lasts as long as it does in life. Otherwise a tenth of it: both ends share one
 * process, and it may stand still for a second without being taken for dead.
 */
export const IS_FULL_LENGTH: boolean = process.env.CULVERT_FULL_LENGTH === "1";

const SCALE = IS_FULL_LENGTH ? 1 : 10;

/** A time of life, as long as it is in this run. */
export function scaled(ms: number): number {
  return Math.round(ms / SCALE);
}

/** The defaults of a session that are times, in the same proportions. */
export const SCALED_SESSION = {
  pingIntervalMs: scaled(10_000),
  silenceMs: scaled(25_000),
  stallMs: scaled(30_000),
  visitorWaitMs: scaled(30_000),
  graceMs: scaled(120_000),
} as const;

/** And those of the ladder. */
export const SCALED_RETRY: RetryOptions = {
  baseMs: scaled(500),
  resumableCapMs: scaled(1800),
  capMs: scaled(10_000),
  stableMs: scaled(5000),
  connectTimeoutMs: scaled(10_000),
};

/** How long a test may wait for what comes after a fault of that length; also on a machine that is busy. */
export function patienceFor(ms: number): number {
  return scaled(ms) + 15_000;
}
