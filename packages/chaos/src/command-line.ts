import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import type { ChaosKind, ChaosStep, RandomPlanOptions } from "./chaos-plan.ts";
import { checkInteger, checkOneOf } from "./checked.ts";
import { type CutHow, type Direction, resolveFault, type Shape } from "./fault.ts";
import { parseSize, parseTime, SIZE_GRAMMAR, TIME_GRAMMAR } from "./quantity.ts";
import { checkSeed } from "./random.ts";

export const USAGE: string = `Usage: chaos --target <host:port> [flags]

Listens, carries each connection to the target, and does to it what networks and middleboxes do.

  --target <host:port>    where connections are carried to
  --listen <host:port>    where to listen (default 127.0.0.1:9100; port 0 takes a free one)
  --seed <n>              draws the same again: plans, jitter, sizes of pieces (default: another one each time)
  --for <time>            end after this long (default: at SIGINT or SIGTERM)

At intervals:
  --cut-every <time>      cut all connections
  --cut-after <size>      cut each connection once it carried so much up or down
  --how <rst|fin>         how to cut (default rst)
  --stall-for <time>      carry nothing for this long, lose nothing
  --black-hole-for <time> swallow everything for this long, then reset whatever lost something
  --refuse-for <time>     reset all connections and each new one for this long
  --every <time>          how long after one of these three the next one begins (default 20s)

All the time:
  --delay <time>          each byte arrives so much later
  --jitter <time>         give or take this
  --rate <size>           so many bytes a second
  --slice <size>          write no more than so much at once; 1 writes single bytes
  --coalesce <time>       gather what comes within this time
  --flip <size>           turn over one bit in each so many bytes
  --direction <way>       up (to the target), down, or both (default): which way this list, stalls and black holes apply

Or drawn from the seed, round after round:
  --plan <name>           cuts: resets, ends, cuts in the middle of anything, refusals
                          holes: stalls and black holes, up to 30 s
                          rough: delay, a narrow line, small pieces, gathering
                          all: all of these

  -h, --help              show this

A time is ${TIME_GRAMMAR}; a size is ${SIZE_GRAMMAR}.

Examples:
  chaos --target 127.0.0.1:9000 --cut-every 5s --delay 50ms
  chaos --target 127.0.0.1:9000 --plan all --seed 7
`;

type Way = Direction | "both";

/** What a command line asks for. */
export interface Command {
  readonly listen: Address;
  readonly target: Address;
  readonly seed: number;
  readonly forMs: number | undefined;
  readonly direction: Way;
  /** What holds all the time; undefined: nothing. */
  readonly shape: Shape | undefined;
  readonly cutEveryMs: number | undefined;
  readonly cutAfterBytes: number | undefined;
  readonly how: CutHow;
  /** Repeated as long as it runs; may be empty. */
  readonly steps: readonly ChaosStep[];
  /** Drawn anew for each round; undefined: `steps` it is. */
  readonly plan: { readonly name: string; readonly options: RandomPlanOptions } | undefined;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

const DEFAULT_LISTEN = "127.0.0.1:9100";
const DEFAULT_EVERY = "20s";

/** Slow enough for somebody to watch. */
const PACE: RandomPlanOptions = { gapMs: [500, 5_000], forMs: [200, 5_000], count: 20 };
const CUTS: readonly ChaosKind[] = ["rst", "fin", "cutAfter", "refuse"];
const HOLES: readonly ChaosKind[] = ["stall", "blackhole"];
const ROUGH: readonly ChaosKind[] = ["delay", "throttle", "slice", "coalesce"];
const PLANS: Readonly<Record<string, RandomPlanOptions>> = {
  cuts: { ...PACE, kinds: CUTS, forMs: [200, 3_000] },
  holes: { ...PACE, kinds: HOLES, forMs: [500, 30_000] },
  rough: { ...PACE, kinds: ROUGH },
  all: { ...PACE, kinds: [...CUTS, ...HOLES, ...ROUGH] },
};

const FLAGS = {
  target: { type: "string" },
  listen: { type: "string", default: DEFAULT_LISTEN },
  seed: { type: "string" },
  for: { type: "string" },
  "cut-every": { type: "string" },
  "cut-after": { type: "string" },
  how: { type: "string", default: "rst" },
  "stall-for": { type: "string" },
  "black-hole-for": { type: "string" },
  "refuse-for": { type: "string" },
  every: { type: "string" },
  delay: { type: "string" },
  jitter: { type: "string" },
  rate: { type: "string" },
  slice: { type: "string" },
  coalesce: { type: "string" },
  flip: { type: "string" },
  direction: { type: "string", default: "both" },
  plan: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;
type Values = ReturnType<typeof parseArgs<{ options: typeof FLAGS }>>["values"];

/**
 * Reads a command line, without the names of the programs; "help" if that is what it asks for.
 * @throws Error with one sentence that names the flag.
 */
export function parseCommandLine(args: readonly string[]): Command | "help" {
  // pnpm hands over the "--" that some put before flags.
  const { values } = parseArgs({ args: args.filter((arg) => arg !== "--"), options: FLAGS });
  if (values.help) return "help";
  if (values.target === undefined) throw new Error("--target is missing: where are connections carried to?");
  const direction = checkOneOf<Way>("--direction", values.direction as Way, ["up", "down", "both"]);
  const steps = stepsOf(values, direction);
  const cuts = values["cut-every"] ?? values["cut-after"];
  if (values.plan !== undefined && (steps.length > 0 || cuts !== undefined)) {
    throw new Error(
      "--plan draws its own cuts and holes: leave out --cut-every, --cut-after and what ends in -for",
    );
  }
  return {
    listen: addressOf("listen", values.listen, 0),
    target: addressOf("target", values.target, 1),
    seed: values.seed === undefined ? randomInt(0x1_0000_0000) : checkSeed(Number(values.seed)),
    forMs: time(values, "for"),
    direction,
    shape: shapeOf(values),
    cutEveryMs: time(values, "cut-every"),
    cutAfterBytes: size(values, "cut-after"),
    how: checkOneOf<CutHow>("--how", values.how as CutHow, ["rst", "fin"]),
    steps,
    plan: planOf(values.plan),
  };
}

function stepsOf(values: Values, direction: Way): ChaosStep[] {
  const gapMs = parsed("every", values.every ?? DEFAULT_EVERY, parseTime, TIME_GRAMMAR);
  const steps: ChaosStep[] = [];
  const stall = time(values, "stall-for");
  if (stall !== undefined) steps.push({ kind: "stall", gapMs, forMs: stall, direction });
  const hole = time(values, "black-hole-for");
  if (hole !== undefined) steps.push({ kind: "blackhole", gapMs, forMs: hole, direction });
  const refuse = time(values, "refuse-for");
  if (refuse !== undefined) steps.push({ kind: "refuse", gapMs, forMs: refuse });
  if (values.every !== undefined && steps.length === 0) {
    throw new Error(
      "--every says how often something lasting comes: add --stall-for, --black-hole-for or --refuse-for",
    );
  }
  return steps;
}

function shapeOf(values: Values): Shape | undefined {
  const bytesPerSecond = size(values, "rate");
  const pieces = size(values, "slice");
  const flip = size(values, "flip");
  const delayMs = time(values, "delay");
  const jitterMs = time(values, "jitter");
  const coalesceMs = time(values, "coalesce");
  const shape: Shape = {
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(jitterMs === undefined ? {} : { jitterMs }),
    ...(coalesceMs === undefined ? {} : { coalesceMs }),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    ...(pieces === undefined ? {} : { slice: { maxBytes: pieces } }),
    ...(flip === undefined ? {} : { flipBit: { everyBytes: flip } }),
  };
  if (Object.keys(shape).length === 0) return undefined;
  resolveFault(shape);
  return shape;
}

function planOf(name: string | undefined): Command["plan"] {
  if (name === undefined) return undefined;
  const options = PLANS[checkOneOf("--plan", name, Object.keys(PLANS))]!;
  return { name, options };
}

function time(values: Values, flag: keyof Values): number | undefined {
  const value = values[flag];
  return value === undefined ? undefined : parsed(flag, String(value), parseTime, TIME_GRAMMAR);
}

function size(values: Values, flag: keyof Values): number | undefined {
  const value = values[flag];
  return value === undefined ? undefined : parsed(flag, String(value), parseSize, SIZE_GRAMMAR);
}

function parsed(
  flag: string,
  text: string,
  read: (text: string) => number | undefined,
  grammar: string,
): number {
  const value = read(text);
  if (value === undefined) throw new Error(`--${flag} is ${grammar}; not ${JSON.stringify(text)}`);
  if (value === 0) throw new Error(`--${flag} must be more than nothing`);
  return value;
}

function addressOf(flag: string, text: string, minPort: number): Address {
  // Square brackets keep the colons of an IPv6 address from that of the port.
  const [, bracketed, plain, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined)
    throw new Error(`--${flag} is host:port, as in 127.0.0.1:9000; not ${JSON.stringify(text)}`);
  return { host, port: checkInteger(`the port of --${flag}`, Number(port), minPort, 65_535) };
}
