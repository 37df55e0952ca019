import { totalmem } from "node:os";
import { SESSION_DEFAULTS, type SessionOptions } from "@culvert/protocol";
import type { Option } from "commander";
import { countFlag, durationFlag, sizeFlag } from "./flags.ts";
import { formatSize } from "./size.ts";
import { UsageError } from "./usage-error.ts";

/** What the flags of a session yield, by commander's names for them. */
export interface SessionFlagValues {
  readonly grace?: number;
  readonly pingInterval: number;
  readonly silenceTimeout: number;
  readonly stallTimeout: number;
  readonly openTimeout: number;
  readonly visitorWait: number;
  readonly maxStreams: number;
  readonly maxPendingOpens: number;
  readonly maxWaitingOpens: number;
  readonly maxTunnels?: number;
  readonly initialWindow: number;
  readonly maxWindow: number;
  readonly receiveBudget: number;
  readonly replayLimit: number;
  readonly maxGlitches: number;
  readonly idleTimeout: number;
  readonly halfClosedTimeout: number;
}

const WEEK_MS = 604_800_000;
const KIB = 1024;
const D = SESSION_DEFAULTS;

export const LINK_GROUP = "Keepalive and resume:";
export const LIMIT_GROUP = "Limits of each session:";

/** `--grace`, which means something else on each side. */
export function graceFlag(about: string, fallback: number | { readonly none: string }): Option {
  return durationFlag("--grace", about, fallback, { min: 0, max: WEEK_MS });
}

/** The flags about time that both commands have. */
export function linkFlags(): Option[] {
  return [
    durationFlag("--ping-interval", "time between pings", D.pingIntervalMs),
    durationFlag(
      "--silence-timeout",
      "without a byte from the peer for this long, the WebSocket is dead",
      D.silenceMs,
    ),
    durationFlag(
      "--stall-timeout",
      "without an acknowledgement for this long, it is given up too",
      D.stallMs,
    ),
    durationFlag(
      "--visitor-wait",
      "a new connection waits this long for a lost WebSocket, then is reset",
      D.visitorWaitMs,
      {
        min: 0,
      },
    ),
    durationFlag("--open-timeout", "time for the other side to answer a new connection", D.openTimeoutMs),
    durationFlag(
      "--idle-timeout",
      "a connection without a byte for this long is cut off; 0: never",
      D.idleTimeoutMs,
      {
        min: 0,
      },
    ),
    durationFlag(
      "--half-closed-timeout",
      "the same when one of its directions has ended",
      D.halfClosedTimeoutMs,
      {
        min: 0,
      },
    ),
  ];
}

/** The flags about numbers and memory that both commands have. */
export function limitFlags(): Option[] {
  return [
    countFlag("--max-streams", "connections that the peer may have open at once", D.maxStreams),
    countFlag(
      "--max-pending-opens",
      "of these, how many may wait for their target to answer",
      D.maxPendingOpens,
    ),
    countFlag(
      "--max-waiting-opens",
      "new connections that may wait for a lost WebSocket",
      D.maxWaitingOpens,
      { min: 0 },
    ),
    sizeFlag("--replay-limit", "memory for what the peer has not acknowledged", D.replayLimitBytes, {
      min: 64 * KIB,
    }),
    sizeFlag("--receive-budget", "memory for what local readers have not taken", D.receiveBudgetBytes, {
      min: 64 * KIB,
    }),
    sizeFlag("--initial-window", "what a new connection may send at once", D.initialWindowBytes, {
      max: 2 ** 24,
    }),
    countFlag("--max-glitches", "useless frames of the peer in a minute", D.maxGlitchesPerMinute, {
      max: 2 ** 30,
    }),
    sizeFlag("--max-window", "what one connection may have on the way", D.maxWindowBytes, { max: 2 ** 30 }),
  ];
}

/**
 * The options of the session for the library.
 * @throws UsageError for values that do not go together.
 */
export function sessionOptionsOf(
  flags: SessionFlagValues,
  memoryBytes: number = totalmem(),
): Partial<SessionOptions> {
  if (flags.silenceTimeout < 1.5 * flags.pingInterval) {
    throw new UsageError(
      "--silence-timeout must be longer than --ping-interval, at least one and a half times as long: otherwise a link without traffic is dead now and then.",
    );
  }
  if (flags.initialWindow > flags.maxWindow) {
    throw new UsageError("--initial-window is larger than --max-window: lower the one or raise the other.");
  }
  const sizes = { "--replay-limit": flags.replayLimit, "--receive-budget": flags.receiveBudget };
  for (const [flag, bytes] of Object.entries(sizes)) withinMemory(flag, bytes, memoryBytes);
  return {
    ...(flags.grace === undefined ? {} : { graceMs: flags.grace }),
    ...(flags.maxTunnels === undefined ? {} : { maxTunnels: flags.maxTunnels }),
    pingIntervalMs: flags.pingInterval,
    silenceMs: flags.silenceTimeout,
    stallMs: flags.stallTimeout,
    openTimeoutMs: flags.openTimeout,
    visitorWaitMs: flags.visitorWait,
    maxStreams: flags.maxStreams,
    maxPendingOpens: flags.maxPendingOpens,
    maxWaitingOpens: flags.maxWaitingOpens,
    initialWindowBytes: flags.initialWindow,
    // No flag of its own: it lies between the two that have one.
    firstWindowBytes: Math.min(Math.max(D.firstWindowBytes, flags.initialWindow), flags.maxWindow),
    maxWindowBytes: flags.maxWindow,
    receiveBudgetBytes: flags.receiveBudget,
    replayLimitBytes: flags.replayLimit,
    maxGlitchesPerMinute: flags.maxGlitches,
    idleTimeoutMs: flags.idleTimeout,
    halfClosedTimeoutMs: flags.halfClosedTimeout,
  };
}

/** @throws UsageError when `bytes` is more than this machine has. */
export function withinMemory(flag: string, bytes: number, memoryBytes: number = totalmem()): number {
  if (bytes <= memoryBytes) return bytes;
  const memory = formatSize(Math.floor(memoryBytes / 2 ** 20) * 2 ** 20);
  throw new UsageError(
    `${flag} ${formatSize(bytes)} is more than the memory of this machine (${memory}): lower it.`,
  );
}

/** These are for programs only: they tune the inside of a session. */
type WithoutFlag = "maxPayloadBytes" | "replayReserveBytes" | "unusedWindowMs" | "writeHighWaterBytes";

/** Names of the library's options and their flags, for errors that the library finds. */
export const SESSION_FLAG_NAMES: Readonly<Record<Exclude<keyof SessionOptions, WithoutFlag>, string>> = {
  graceMs: "--grace",
  pingIntervalMs: "--ping-interval",
  silenceMs: "--silence-timeout",
  stallMs: "--stall-timeout",
  openTimeoutMs: "--open-timeout",
  visitorWaitMs: "--visitor-wait",
  maxStreams: "--max-streams",
  maxPendingOpens: "--max-pending-opens",
  maxWaitingOpens: "--max-waiting-opens",
  maxTunnels: "--max-tunnels",
  initialWindowBytes: "--initial-window",
  firstWindowBytes: "--max-window",
  maxWindowBytes: "--max-window",
  receiveBudgetBytes: "--receive-budget",
  replayLimitBytes: "--replay-limit",
  maxGlitchesPerMinute: "--max-glitches",
  idleTimeoutMs: "--idle-timeout",
  halfClosedTimeoutMs: "--half-closed-timeout",
};
