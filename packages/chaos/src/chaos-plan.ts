import { checkInteger, checkKeys, checkNumber, checkOneOf } from "./checked.ts";
import {
  type CutHow,
  type Direction,
  type DirectionFault,
  type Faults,
  resolveFault,
  type Shape,
} from "./fault.ts";
import { checkSeed, Random } from "./random.ts";

const SHAPE_KINDS = ["delay", "throttle", "slice", "coalesce", "flip"] as const;
type ShapeKind = (typeof SHAPE_KINDS)[number];

/** The kinds of steps; see {@link ChaosStep}. */
export type ChaosKind = "rst" | "fin" | "cutAfter" | "refuse" | "stall" | "blackhole" | ShapeKind;
const KINDS: readonly ChaosKind[] = [
  "rst",
  "fin",
  "cutAfter",
  "refuse",
  "stall",
  "blackhole",
  ...SHAPE_KINDS,
];

/** One timed fault. Steps run one after the other: each waits `gapMs` first, and lasts `forMs` if it has one. */
export type ChaosStep =
  /** Cut all live connections. */
  | { readonly kind: "rst" | "fin"; readonly gapMs: number }
  /** Cut each live connection after so many more bytes; what is not cut after `forMs` is let go. */
  | {
      readonly kind: "cutAfter";
      readonly gapMs: number;
      readonly forMs: number;
      readonly bytes: number;
      readonly direction: Direction;
      readonly how: CutHow;
    }
  /** The server is gone for a while: reset all live connections and every new one. */
  | { readonly kind: "refuse"; readonly gapMs: number; readonly forMs: number }
  /** After "blackhole" the connections that lost something are reset, as a middlebox does that forgot them. */
  | {
      readonly kind: "stall" | "blackhole";
      readonly gapMs: number;
      readonly forMs: number;
      readonly direction: Direction | "both";
    }
  /** Any {@link Shape}; the kind is only the name under which it is counted. */
  | {
      readonly kind: ShapeKind;
      readonly gapMs: number;
      readonly forMs: number;
      readonly direction: Direction | "both";
      readonly shape: Shape;
    };

/** From, to, both included. */
export type Range = readonly [min: number, max: number];

/** What ChaosPlan.random draws from. */
export interface RandomPlanOptions {
  /** How many steps. Default: 20. */
  readonly count?: number;
  /**
   * Dealt in rounds: each is used once before any is used again. One that is named twice comes twice as often.
   * Default: all but "flip", which breaks what has no integrity check of its own.
   */
  readonly kinds?: readonly ChaosKind[];
  /** Wait before each step. Default: 50 to 500. */
  readonly gapMs?: Range;
  /** How long a fault lasts that is not a cut. Default: 50 to 1,000. */
  readonly forMs?: Range;
  /** After how many bytes "cutAfter" cuts. Default: 1 to 65,536. */
  readonly cutBytes?: Range;
  /** Default: 5 to 100, with a jitter of half of it. */
  readonly delayMs?: Range;
  /** Default: 100,000 to 10,000,000. */
  readonly bytesPerSecond?: Range;
  /** The longest piece of "slice". Default: 1 to 1,000. */
  readonly sliceBytes?: Range;
  /** Default: 5 to 100. */
  readonly coalesceMs?: Range;
  /** Every how many bytes "flip" turns a bit over. Default: 1,000 to 1,000,000. */
  readonly flipBytes?: Range;
}

const RANGES = {
  gapMs: [50, 500],
  forMs: [50, 1_000],
  cutBytes: [1, 65_536],
  delayMs: [5, 100],
  bytesPerSecond: [100_000, 10_000_000],
  sliceBytes: [1, 1_000],
  coalesceMs: [5, 100],
  flipBytes: [1_000, 1_000_000],
} as const satisfies Record<string, Range>;

/** A list of timed faults, immutable. JSON.stringify shows it whole, and its `steps` make the same plan again. */
export class ChaosPlan {
  readonly steps: readonly ChaosStep[];
  /** The seed that it was drawn from; undefined for one written by hand. */
  readonly seed: number | undefined;

  /** @throws TypeError or RangeError naming the step and the option. */
  constructor(steps: readonly ChaosStep[], seed?: number) {
    steps.forEach(checkStep);
    this.steps = Object.freeze(steps.map((step) => Object.freeze({ ...step })));
    this.seed = seed === undefined ? undefined : checkSeed(seed);
  }

  /**
   * Draws a plan. The same seed and options give the same steps, with the same times; where in the traffic they fall
   * depends on the traffic.
   * @throws TypeError or RangeError naming the option.
   */
  static random(seed: number, options: RandomPlanOptions = {}): ChaosPlan {
    checkKeys("a random plan", options, ["count", "kinds", ...Object.keys(RANGES)]);
    const random = new Random(seed);
    const count = checkInteger("count", options.count ?? 20, 0);
    const kinds = options.kinds ?? KINDS.filter((kind) => kind !== "flip");
    if (kinds.length === 0) throw new RangeError("kinds must not be empty");
    const draw = (name: keyof typeof RANGES): number => {
      const [min, max] = options[name] ?? RANGES[name];
      return random.between(checkInteger(name, min, 0), checkInteger(name, max, min));
    };
    const steps: ChaosStep[] = [];
    let round: ChaosKind[] = [];
    while (steps.length < count) {
      if (round.length === 0) round = random.shuffle(kinds);
      steps.push(drawStep(round.pop() as ChaosKind, random, draw));
    }
    return new ChaosPlan(steps, seed);
  }
}

/** The faults that a step puts on the proxy while it lasts; none for a cut. */
export function faultsOf(step: ChaosStep): Faults {
  if (!("direction" in step) || step.kind === "cutAfter") return {};
  const fault: DirectionFault = "shape" in step ? step.shape : step.kind;
  if (step.direction === "both") return { up: fault, down: fault };
  return step.direction === "up" ? { up: fault } : { down: fault };
}

/** A zero for each kind. */
export function zeroCounts(): Record<ChaosKind, number> {
  return Object.fromEntries(KINDS.map((kind) => [kind, 0])) as Record<ChaosKind, number>;
}

function drawStep(kind: ChaosKind, random: Random, draw: (name: keyof typeof RANGES) => number): ChaosStep {
  const gapMs = draw("gapMs");
  if (kind === "rst" || kind === "fin") return { kind, gapMs };
  const forMs = draw("forMs");
  if (kind === "refuse") return { kind, gapMs, forMs };
  if (kind === "cutAfter") {
    const direction = random.pick(["up", "down"] as const);
    return {
      kind,
      gapMs,
      forMs,
      direction,
      bytes: draw("cutBytes"),
      how: random.pick(["fin", "rst"] as const),
    };
  }
  const direction = random.pick(["up", "down", "both"] as const);
  if (kind === "stall" || kind === "blackhole") return { kind, gapMs, forMs, direction };
  return { kind, gapMs, forMs, direction, shape: drawShape(kind, draw) };
}

function drawShape(kind: ShapeKind, draw: (name: keyof typeof RANGES) => number): Shape {
  switch (kind) {
    case "delay": {
      const delayMs = draw("delayMs");
      return { delayMs, jitterMs: delayMs / 2 };
    }
    case "throttle":
      return { bytesPerSecond: draw("bytesPerSecond") };
    case "slice":
      return { slice: { maxBytes: draw("sliceBytes"), minBytes: 1 } };
    case "coalesce":
      return { coalesceMs: draw("coalesceMs") };
    case "flip":
      return { flipBit: { everyBytes: draw("flipBytes") } };
    default:
      throw new TypeError(`no such kind of step: ${String(kind)}`);
  }
}

function checkStep(step: ChaosStep, index: number): void {
  const what = `steps[${index}]`;
  checkOneOf(`${what}.kind`, step.kind, KINDS);
  checkNumber(`${what}.gapMs`, step.gapMs, 0);
  if (!("forMs" in step)) {
    if (step.kind !== "rst" && step.kind !== "fin") throw new TypeError(`${what} has no forMs`);
    return;
  }
  checkNumber(`${what}.forMs`, step.forMs, 0);
  if (step.kind === "refuse") return;
  if (step.kind === "cutAfter") {
    checkInteger(`${what}.bytes`, step.bytes, 0);
    checkOneOf(`${what}.direction`, step.direction, ["up", "down"]);
    checkOneOf(`${what}.how`, step.how, ["fin", "rst"]);
    return;
  }
  checkOneOf(`${what}.direction`, step.direction, ["up", "down", "both"]);
  if ("shape" in step) resolveFault(step.shape);
  else if (step.kind !== "stall" && step.kind !== "blackhole") throw new TypeError(`${what} has no shape`);
}
