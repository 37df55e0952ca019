import { OptionReader } from "./option-reader.ts";

/** When the client dials again, how long it waits for an answer, and when it gives up. Times in milliseconds. */
export interface RetryOptions {
  /**
   * Upper end of the wait before the first dial, and before the first one after a transport that lived `stableMs`;
   * the wait is uniform between 0 and this. Set it to spread many clients that lose one server together. Default 0.
   */
  readonly firstDelayMs?: number;
  /** Upper end of the wait before the second dial; later ones are `factor` times the one before. Default 500. */
  readonly baseMs?: number;
  /** Default 2. */
  readonly factor?: number;
  /**
   * The upper end stops growing here while a session can still be resumed: somebody is waiting. Default 1,800, so that a
   * client is back within 2 s of the server, the handshake included.
   */
  readonly resumableCapMs?: number;
  /** The upper end stops growing here when there is no session to resume. Default 10,000. */
  readonly capMs?: number;
  /** Only a transport that lived this long starts the ladder anew. Default 5,000: a bad network that cuts
   * every few seconds is dialed at once each time, one that breaks at once is not. */
  readonly stableMs?: number;
  /** Time limit of one dial, from looking up the name to the end of the HTTP upgrade, and again of the handshake. Default 10,000. */
  readonly connectTimeoutMs?: number;
  /**
   * With several servers: for how long after the loss of a transport only the server that has the session is dialed,
   * because any other one would end the session. Default 10,000.
   */
  readonly stickyMs?: number;
  /** A server's wish to be left alone (Retry-After) counts up to this, and up to 10,000 while a session can be resumed.
   * Default 300,000. */
  readonly retryAfterCapMs?: number;
  /** Give up with `attempts_exhausted` after this many dials in a row without a session. Default: no limit. */
  readonly maxAttempts?: number;
  /** Give up with `deadline_exhausted` when a dial would begin later than this after the loss. Default: no limit. */
  readonly maxElapsedMs?: number;
}

export interface ResolvedRetryOptions
  extends Required<Omit<RetryOptions, "maxAttempts" | "maxElapsedMs">>,
    Pick<RetryOptions, "maxAttempts" | "maxElapsedMs"> {}

export const RETRY_DEFAULTS: ResolvedRetryOptions = Object.freeze({
  firstDelayMs: 0,
  baseMs: 500,
  factor: 2,
  resumableCapMs: 1_800,
  capMs: 10_000,
  stableMs: 5_000,
  connectTimeoutMs: 10_000,
  stickyMs: 10_000,
  retryAfterCapMs: 300_000,
});

/** What a timer of Node can hold. */
export const MAX_TIMER_MS: number = 2 ** 31 - 1;
/** Delays are added to each other, so each stays well below what a timer can hold. */
const MAX_DELAY_MS = 24 * 3_600_000;

/** @throws CulvertError `invalid_option`. */
export function resolveRetryOptions(given: unknown): ResolvedRetryOptions {
  const keys = [...Object.keys(RETRY_DEFAULTS), "maxAttempts", "maxElapsedMs"];
  const read = new OptionReader(given ?? {}, "retry.", keys);
  const delay = (
    key: Exclude<keyof typeof RETRY_DEFAULTS, "maxAttempts" | "maxElapsedMs">,
    min = 0,
  ): number => read.integer(key, min, MAX_DELAY_MS, RETRY_DEFAULTS[key]);
  const maxAttempts = read.optionalInteger("maxAttempts", 1, Number.MAX_SAFE_INTEGER);
  const maxElapsedMs = read.optionalInteger("maxElapsedMs", 0, Number.MAX_SAFE_INTEGER);
  return Object.freeze({
    firstDelayMs: delay("firstDelayMs"),
    baseMs: delay("baseMs"),
    factor: read.number("factor", 1, 100, RETRY_DEFAULTS.factor),
    resumableCapMs: delay("resumableCapMs"),
    capMs: delay("capMs"),
    stableMs: delay("stableMs"),
    connectTimeoutMs: delay("connectTimeoutMs", 1),
    stickyMs: delay("stickyMs"),
    retryAfterCapMs: delay("retryAfterCapMs"),
    ...(maxAttempts === undefined ? {} : { maxAttempts }),
    ...(maxElapsedMs === undefined ? {} : { maxElapsedMs }),
  });
}
