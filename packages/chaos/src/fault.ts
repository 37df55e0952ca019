import { checkInteger, checkKeys, checkNumber } from "./checked.ts";

/** "up": from who connected to the proxy to the target. "down": the answers. */
export type Direction = "up" | "down";

/**
 * How a connection is cut. "rst": both sides get a RST, abruptly. "fin": both sides get a FIN, after what was already
 * written to them; what they still send is read and thrown away.
 */
export type CutHow = "fin" | "rst";

/** Cuts writes into pieces. Each piece is a `write` of its own, in a turn of the event loop of its own. */
export interface Slice {
  /** The longest piece, in bytes; 1 gives single bytes. */
  readonly maxBytes: number;
  /** The shortest piece (but the last); sizes are drawn evenly up to `maxBytes`. Default: `maxBytes`. */
  readonly minBytes?: number;
  /** Wait between two pieces. Default: 0, only a turn of the event loop. */
  readonly gapMs?: number;
}

/** Turns over one bit, drawn from the seed, of single bytes. Positions count what this connection's direction forwarded. */
export type FlipBit =
  /** In every n-th byte: the bytes at n - 1, 2n - 1, ... */
  | { readonly everyBytes: number }
  /** Once, in the byte at this offset; a connection that is past it is not touched. */
  | { readonly atByte: number };

/** What happens to the bytes of one direction on their way. Any combination; the order of bytes is always kept. */
export interface Shape {
  /** Each byte arrives this much later. Default: 0. */
  readonly delayMs?: number;
  /** The delay is drawn evenly from `delayMs` ± this, per chunk read. Default: 0. */
  readonly jitterMs?: number;
  /** A bottleneck. Bytes that do not fit wait at their sender, not in the proxy. Default: no limit. */
  readonly bytesPerSecond?: number;
  /** Small writes. Default: as read. */
  readonly slice?: Slice;
  /** Gathers what comes within this time and writes it at once. Default: 0. */
  readonly coalesceMs?: number;
  /** Corruption. Default: none. */
  readonly flipBit?: FlipBit;
}

/**
 * The fault of one direction.
 *
 * - "pass": none.
 * - "stall": stop reading and writing, keep both sockets; ends and resets wait too. Nothing is lost: what the sender's
 *   and the proxy's kernel hold goes on when the fault is over.
 * - "blackhole": read and throw away, keep both sockets. A connection that lost anything this way stays a black hole in
 *   this direction for the rest of its life, because no network delivers a TCP stream with a hole in it. A connection
 *   that had nothing to lose goes on afterwards.
 * - a {@link Shape}.
 */
export type DirectionFault = "pass" | "stall" | "blackhole" | Shape;

/** The faults of both directions; one that is left out stays as it is. */
export interface Faults {
  readonly up?: DirectionFault;
  readonly down?: DirectionFault;
}

/** A {@link Shape} with everything filled in. */
export interface ResolvedShape {
  readonly kind: "shape";
  readonly delayMs: number;
  readonly jitterMs: number;
  /** Infinity: no limit. */
  readonly bytesPerSecond: number;
  readonly slice: Required<Slice> | undefined;
  readonly coalesceMs: number;
  readonly flipBit: FlipBit | undefined;
  /** How much may wait in the proxy, in bytes, before it stops reading. */
  readonly queueBytes: number;
}

/** A checked {@link DirectionFault}. */
export type ResolvedFault =
  | { readonly kind: "pass" | "stall" | "blackhole"; readonly queueBytes: number }
  | ResolvedShape;

/**
 * The most that one direction of one connection keeps for a delay: 1 Gbit/s for 256 ms. A faster or longer line gets
 * back pressure, that is less speed.
 */
export const MAX_QUEUE_BYTES: number = 32 * 1024 * 1024;

/** What waits where nothing is to be delayed: one read of the kernel, so that back pressure is felt at once. */
const MIN_QUEUE_BYTES = 64 * 1024;

const SHAPE_KEYS = ["delayMs", "jitterMs", "bytesPerSecond", "slice", "coalesceMs", "flipBit"];
const MAX_MS = 600_000;

/**
 * Checks a fault and fills in its defaults.
 * @throws RangeError or TypeError, naming the option, for anything that would not do what it says.
 */
export function resolveFault(fault: DirectionFault): ResolvedFault {
  if (fault === "pass" || fault === "stall" || fault === "blackhole") {
    return { kind: fault, queueBytes: MIN_QUEUE_BYTES };
  }
  if (typeof fault !== "object" || fault === null) {
    throw new TypeError(`a fault is "pass", "stall", "blackhole" or an object, not ${String(fault)}`);
  }
  checkKeys("a fault", fault, SHAPE_KEYS);
  const delayMs = checkNumber("delayMs", fault.delayMs ?? 0, 0, MAX_MS);
  const jitterMs = checkNumber("jitterMs", fault.jitterMs ?? 0, 0, MAX_MS);
  const coalesceMs = checkNumber("coalesceMs", fault.coalesceMs ?? 0, 0, MAX_MS);
  const bytesPerSecond =
    fault.bytesPerSecond === undefined
      ? Number.POSITIVE_INFINITY
      : checkNumber('bytesPerSecond (use "stall" for none)', fault.bytesPerSecond, 1);
  const heldMs = delayMs + jitterMs + coalesceMs;
  return {
    kind: "shape",
    delayMs,
    jitterMs,
    bytesPerSecond,
    slice: fault.slice === undefined ? undefined : resolveSlice(fault.slice),
    coalesceMs,
    flipBit: fault.flipBit === undefined ? undefined : checkFlipBit(fault.flipBit),
    // Behind a bottleneck a longer queue would only add a delay that nobody asked for.
    queueBytes:
      heldMs === 0
        ? MIN_QUEUE_BYTES
        : Math.min(MAX_QUEUE_BYTES, MIN_QUEUE_BYTES + (bytesPerSecond * heldMs) / 1000),
  };
}

function resolveSlice(slice: Slice): Required<Slice> {
  checkKeys("slice", slice, ["maxBytes", "minBytes", "gapMs"]);
  const maxBytes = checkInteger("slice.maxBytes", slice.maxBytes, 1);
  return {
    maxBytes,
    minBytes: checkInteger("slice.minBytes", slice.minBytes ?? maxBytes, 1, maxBytes),
    gapMs: checkNumber("slice.gapMs", slice.gapMs ?? 0, 0, MAX_MS),
  };
}

function checkFlipBit(flip: FlipBit): FlipBit {
  checkKeys("flipBit", flip, ["everyBytes", "atByte"]);
  if ("everyBytes" in flip === "atByte" in flip)
    throw new TypeError("flipBit takes either everyBytes or atByte");
  if ("everyBytes" in flip) checkInteger("flipBit.everyBytes", flip.everyBytes, 1);
  else checkInteger("flipBit.atByte", flip.atByte, 0);
  return flip;
}
