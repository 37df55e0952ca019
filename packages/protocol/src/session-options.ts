import { CulvertError } from "./errors.ts";
import { MAX_DATA_BYTES } from "./limits.ts";

/**
 * Everything about a session that can be set. Bytes and milliseconds; docs/options.md says how to choose.
 * The defaults are {@link SESSION_DEFAULTS}.
 */
export interface SessionOptions {
  /** Streams that the peer may have open at once. */
  readonly maxStreams: number;
  /** Streams of the peer that may wait for an answer; each is a dial under way. */
  readonly maxPendingOpens: number;
  /** Tunnels that the peer may have asked for. */
  readonly maxTunnels: number;
  /** What a new stream may send before its reader took anything. `maxStreams` of them are always set aside. */
  readonly initialWindowBytes: number;
  /** The window once a reader has begun to take. */
  readonly firstWindowBytes: number;
  /** How far a window grows with rate times round trip. */
  readonly maxWindowBytes: number;
  /** A stream that has sent nothing for this long gives the window back that the peer granted it; 0: never. */
  readonly unusedWindowMs: number;
  /** What the windows of all streams together may promise beyond their initial ones; one may take a quarter of what is free. */
  readonly receiveBudgetBytes: number;
  /** L: memory for frames that the peer has not acknowledged. */
  readonly replayLimitBytes: number;
  /** Beyond L, for frames that must not wait for data to drain: accept, reset, windows, tunnel control. */
  readonly replayReserveBytes: number;
  /** Written but not sent bytes of one stream at which `write` returns false. */
  readonly writeHighWaterBytes: number;
  /** Largest payload of a DATA frame that is sent. */
  readonly maxPayloadBytes: number;
  /** How long a detached session is kept. */
  readonly graceMs: number;
  /** How long a new stream waits for the link, or for room in the peer's limits, before it is reset. */
  readonly visitorWaitMs: number;
  /** How many may wait so while detached. */
  readonly maxWaitingOpens: number;
  /** How long the peer may take to answer an open, counted while attached. */
  readonly openTimeoutMs: number;
  /** Time between pings; each is moved by up to a tenth either way. */
  readonly pingIntervalMs: number;
  /** Without a byte for this long the transport is dead. */
  readonly silenceMs: number;
  /** Without an ack for what is in flight for this long the transport is given up although bytes arrive. */
  readonly stallMs: number;
  /** Frames of the peer in a minute that are allowed and useless, beyond which it is taken for an attack. */
  readonly maxGlitchesPerMinute: number;
  /** A carried connection without a byte for this long is cut off; 0: never. Kept by who carries it. */
  readonly idleTimeoutMs: number;
  /** The same when one of its directions has ended. */
  readonly halfClosedTimeoutMs: number;
}

export const SESSION_DEFAULTS: SessionOptions = Object.freeze({
  maxStreams: 4096,
  maxPendingOpens: 1024,
  maxTunnels: 256,
  initialWindowBytes: 8 * 1024,
  firstWindowBytes: 256 * 1024,
  maxWindowBytes: 16 * 1024 * 1024,
  unusedWindowMs: 5000,
  receiveBudgetBytes: 64 * 1024 * 1024,
  replayLimitBytes: 16 * 1024 * 1024,
  replayReserveBytes: 1024 * 1024,
  writeHighWaterBytes: 64 * 1024,
  maxPayloadBytes: 64 * 1024,
  graceMs: 120_000,
  visitorWaitMs: 30_000,
  maxWaitingOpens: 256,
  openTimeoutMs: 20_000,
  pingIntervalMs: 10_000,
  silenceMs: 25_000,
  stallMs: 30_000,
  maxGlitchesPerMinute: 1000,
  idleTimeoutMs: 0,
  halfClosedTimeoutMs: 300_000,
});

const MAX_TIMER_MS = 2 ** 31 - 1;

/** Smallest and largest legal value of each option. */
const BOUNDS: { readonly [K in keyof SessionOptions]: readonly [min: number, max: number] } = {
  maxStreams: [1, 2 ** 20],
  maxPendingOpens: [1, 2 ** 20],
  maxTunnels: [0, 65_536],
  initialWindowBytes: [1, 2 ** 24],
  firstWindowBytes: [1, 2 ** 30],
  maxWindowBytes: [1, 2 ** 30],
  unusedWindowMs: [0, MAX_TIMER_MS],
  receiveBudgetBytes: [0, 2 ** 40],
  replayLimitBytes: [1024, 2 ** 40],
  replayReserveBytes: [2048, 2 ** 40],
  writeHighWaterBytes: [1, 2 ** 30],
  maxPayloadBytes: [1, MAX_DATA_BYTES],
  graceMs: [0, MAX_TIMER_MS],
  visitorWaitMs: [0, MAX_TIMER_MS],
  maxWaitingOpens: [0, 2 ** 20],
  openTimeoutMs: [1, MAX_TIMER_MS],
  pingIntervalMs: [1, MAX_TIMER_MS],
  silenceMs: [1, MAX_TIMER_MS],
  stallMs: [1, MAX_TIMER_MS],
  maxGlitchesPerMinute: [1, 2 ** 30],
  idleTimeoutMs: [0, MAX_TIMER_MS],
  halfClosedTimeoutMs: [0, MAX_TIMER_MS],
};

/**
 * Fills in the defaults and checks every value.
 * @throws CulvertError `invalid_option`, naming the option (behind `path`), its bounds and what was given.
 */
export function resolveSessionOptions(given: Partial<SessionOptions> = {}, path = ""): SessionOptions {
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(SESSION_DEFAULTS, key))
      throw new CulvertError("invalid_option", `there is no option ${path}${key}`);
  }
  const resolved: Record<string, number> = {};
  for (const [key, [min, max]] of Object.entries(BOUNDS)) {
    const name = key as keyof SessionOptions;
    const value = given[name] ?? SESSION_DEFAULTS[name];
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new CulvertError(
        "invalid_option",
        `${path}${key} must be an integer from ${min} to ${max}, not ${String(value)}`,
      );
    }
    resolved[key] = value;
  }
  const options = resolved as unknown as SessionOptions;
  relate(
    options.firstWindowBytes <= options.maxWindowBytes,
    `${path}firstWindowBytes must not exceed maxWindowBytes`,
  );
  relate(
    options.initialWindowBytes <= options.firstWindowBytes,
    `${path}initialWindowBytes must not exceed firstWindowBytes`,
  );
  // A ping may be a tenth late, and its pong takes a round trip: with less a sound link is dead now and then.
  relate(
    options.silenceMs >= 1.5 * options.pingIntervalMs,
    `${path}silenceMs must be longer than pingIntervalMs, at least one and a half times as long`,
  );
  return Object.freeze(options);
}

function relate(holds: boolean, sentence: string): void {
  if (!holds) throw new CulvertError("invalid_option", sentence);
}

/** Payload of the largest DATA frame that is sent: several fit into what may wait for acknowledgement. */
export function largestPayload({ maxPayloadBytes, replayLimitBytes }: SessionOptions): number {
  return Math.max(1, Math.min(maxPayloadBytes, Math.floor(replayLimitBytes / 4)));
}
