import { parseArgs } from "node:util";
import type { Range } from "@culvert/chaos";

/** How many lines of log, or of what was done, a failure shows. */
export const MAX_CONTEXT_LINES = 25;

/** What the command line says. */
export interface Settings {
  readonly minutes: number;
  readonly seed: number;
}

export const USAGE = `Usage: soak [--minutes N] [--seed S]

Runs culvert servers and clients as processes, all kinds of traffic through them and all kinds of trouble between them,
and checks every byte. Exit code 1 if anything went wrong.

  --minutes N   how long (default 2; 30 for the whole story)
  --seed S      an integer from 0 to 4294967295; the same one draws the same traffic and the same troubles
`;

/** @throws Error saying what is wrong; undefined: help was asked for. */
export function settingsOf(args: readonly string[]): Settings | undefined {
  const { values } = parseArgs({
    // pnpm hands over the "--" that some put before flags.
    args: args.filter((arg) => arg !== "--"),
    options: {
      minutes: { type: "string", default: "2" },
      seed: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const minutes = Number(values.minutes);
  if (!(minutes >= 0.5 && minutes <= 100_000)) {
    throw new Error(`--minutes must be a number from 0.5 to 100000, not ${values.minutes}`);
  }
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed);
  if (!(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32)) {
    throw new Error(`--seed must be an integer from 0 to 4294967295, not ${values.seed}`);
  }
  return { minutes, seed };
}

/** A server with its clients, and what it has to bear. */
export interface WorldSettings {
  readonly name: string;
  readonly clients: readonly string[];
  readonly serverFlags: readonly string[];
  readonly clientFlags: readonly string[];
  /** Between two faults of a client's link. */
  readonly gapMs: Range;
  /** How long a fault lasts that nobody is to notice by its length. */
  readonly forMs: Range;
  /** Long enough to be found dead; not as long as the grace. */
  readonly deadMs: Range;
  /** Between two mishaps of its processes. */
  readonly mishapGapMs: Range;
  /** Which clients are killed and stopped; the others are only frozen, so that their memory can be watched for long. */
  readonly mortal: readonly string[];
  readonly isServerMortal: boolean;
  /** Longer than the grace; undefined: that would take too long. */
  readonly beyondGraceMs: Range | undefined;
  /** After this much calm without progress a connection hangs. */
  readonly hangCalmMs: number;
  /** And after this long in any case. */
  readonly hangMs: number;
}

const QUICK = [
  "--ping-interval",
  "300ms",
  "--silence-timeout",
  "1500ms",
  "--stall-timeout",
  "4s",
  "--drain",
  "2s",
];
const QUICK_DIALS = ["--retry-base", "50ms", "--retry-cap", "1s", "--retry-resume-cap", "500ms"];

/** Short limits, so that dead links, lost sessions and new ones fit in minutes; and beside it the defaults. */
export const WORLDS: readonly WorldSettings[] = [
  {
    name: "quick",
    clients: ["ada", "bob", "cid"],
    serverFlags: [...QUICK, "--grace", "10s", "--handshake-timeout", "2s"],
    clientFlags: [...QUICK, ...QUICK_DIALS, "--connect-timeout", "2s"],
    gapMs: [500, 3_000],
    forMs: [100, 1_200],
    deadMs: [2_500, 6_000],
    mishapGapMs: [5_000, 15_000],
    mortal: ["bob", "cid"],
    isServerMortal: true,
    beyondGraceMs: [13_000, 16_000],
    hangCalmMs: 25_000,
    hangMs: 180_000,
  },
  {
    name: "default",
    clients: ["dot"],
    serverFlags: [],
    clientFlags: [],
    gapMs: [2_000, 8_000],
    forMs: [100, 5_000],
    deadMs: [27_000, 35_000],
    mishapGapMs: [20_000, 60_000],
    mortal: [],
    isServerMortal: false,
    beyondGraceMs: undefined,
    hangCalmMs: 60_000,
    hangMs: 300_000,
  },
];
