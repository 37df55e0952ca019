import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { MEASURE_NAMES, type MeasureName } from "./measures/figure.ts";
import type { Mode, Peer } from "./peers/peer.ts";
import type { Settings } from "./settings.ts";

const DEFAULT_ROUNDS = 3;
const DEFAULT_OUT = join(import.meta.dirname, "results");

/** What a command line may be wrong about; the message names the thing and the mend. */
export class UsageError extends Error {}

export const USAGE = `Usage: bench [rounds] [options]

Measures Culvert beside its peers, in turn and in one session, over loopback. What is not on the PATH is left out with
a notice. Needs Linux, iperf3, and openssl for the encrypted row.

  rounds              how often everything is measured (default: ${DEFAULT_ROUNDS})

Options:
  --measures <list>   of ${MEASURE_NAMES.join(", ")} (default: all)
  --peers <list>      of culvert, direct, socat, chisel, wstunnel, wstunnel-npm, frp, rathole, bore, openssh, or single
                      rows such as culvert-wss (default: all that are found)
  --mode <mode>       connect (local forward), listen (remote forward) or both (default: both)
  --seconds <n>       length of each transfer and each loop (default: 1)
  --delays <list>     one-way delays of the distance measure, ms (default: 50; with --full: 25,50)
  --rate <n>          rate of that link, Mbit/s (default: 1000)
  --loss <percent>    packets that its second half loses; 0 leaves that out (default: 0.1)
  --streams <list>    idle streams of the measures memory and growth (default: 1000; with --full: 1000,10000)
  --clients <n>       idle clients of the memory measure; 0 leaves them out (default: 50; with --full: 1000)
  --full              all figures, and not the short set; takes two hours and more
  --out <folder>      where report.md, report.json and the pictures go (default: bench/results)
  -h, --help          this text

Examples:
  bench                                             # the short set: about 15 minutes
  bench 5 --measures bulk,cpu --peers culvert,socat # one question
  bench 1 --mode listen --measures distance --delays 25,50
`;

const OPTIONS = {
  measures: { type: "string" },
  peers: { type: "string" },
  mode: { type: "string", default: "both" },
  seconds: { type: "string", default: "1" },
  delays: { type: "string" },
  rate: { type: "string", default: "1000" },
  loss: { type: "string", default: "0.1" },
  streams: { type: "string" },
  clients: { type: "string" },
  full: { type: "boolean", default: false },
  out: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Reads a command line. @throws UsageError naming what is wrong. */
export function readCommandLine(args: readonly string[], peers: readonly Peer[]): Settings | "help" {
  const { values, positionals } = parsed(args);
  if (values.help) return "help";
  if (positionals.length > 1) {
    throw new UsageError(`there is one argument, the number of rounds; ${positionals[1]} is one too many`);
  }
  return {
    rounds: integer("rounds", positionals[0] ?? String(DEFAULT_ROUNDS), 1, 1_000),
    measures: values.measures === undefined ? MEASURE_NAMES : measuresOf(values.measures),
    peers: values.peers === undefined ? undefined : peersOf(values.peers, peers),
    modes: modesOf(values.mode),
    seconds: integer("--seconds", values.seconds, 1, 600),
    delaysMs: integers("--delays", values.delays ?? (values.full ? "25,50" : "50"), 1, 1_000),
    megabitsPerSecond: integer("--rate", values.rate, 1, 10_000),
    lossRate: percent("--loss", values.loss) / 100,
    idleStreams: integers("--streams", values.streams ?? (values.full ? "1000,10000" : "1000"), 1, 100_000),
    idleClients: integer("--clients", values.clients ?? (values.full ? "1000" : "50"), 0, 5_000),
    isFull: values.full,
    out: resolve(values.out ?? DEFAULT_OUT),
  };
}

function parsed(args: readonly string[]): ReturnType<typeof parse> {
  try {
    return parse(args);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, strict: true });
}

function list(name: string, text: string): string[] {
  const items = text.split(",").map((item) => item.trim());
  if (items.some((item) => item === "")) {
    throw new UsageError(`${name} is a list with commas and no gaps, such as a,b; not "${text}"`);
  }
  return [...new Set(items)];
}

function measuresOf(text: string): MeasureName[] {
  const asked = list("--measures", text);
  for (const name of asked) {
    if (!MEASURE_NAMES.some((known) => known === name)) {
      throw new UsageError(`--measures: there is no ${name}; there are: ${MEASURE_NAMES.join(", ")}`);
    }
  }
  return MEASURE_NAMES.filter((name) => asked.includes(name));
}

function peersOf(text: string, peers: readonly Peer[]): string[] {
  const known = [...new Set(peers.flatMap(({ family, name }) => [family, name]))];
  const asked = list("--peers", text);
  for (const name of asked) {
    if (!known.includes(name)) {
      throw new UsageError(`--peers: there is no ${name}; there are: ${known.join(", ")}`);
    }
  }
  return asked;
}

function modesOf(text: string): Mode[] {
  switch (text) {
    case "both":
      return ["connect", "listen"];
    case "connect":
    case "listen":
      return [text];
    default:
      throw new UsageError(`--mode is connect, listen or both; not ${text}`);
  }
}

function integer(name: string, text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) {
    throw new UsageError(`${name} is a whole number from ${least} to ${most}; not ${text}`);
  }
  return value;
}

function integers(name: string, text: string, least: number, most: number): number[] {
  return list(name, text).map((item) => integer(name, item, least, most));
}

function percent(name: string, text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 10)) throw new UsageError(`${name} is a share in percent, from 0 to 10; not ${text}`);
  return value;
}
