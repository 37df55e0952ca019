// What Culvert costs beside its peers, all measured in turn in one session: `pnpm bench --help`.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readCommandLine, USAGE, UsageError } from "./command-line.ts";
import { contendersOf } from "./contender.ts";
import { machineFacts } from "./machine.ts";
import type { Figure } from "./measures/figure.ts";
import { scenariosOf } from "./measures/scenarios.ts";
import { ALL_PEERS } from "./peers/all-peers.ts";
import type { Peer } from "./peers/peer.ts";
import { findProgram, Program } from "./program.ts";
import { json } from "./report/json.ts";
import { markdown } from "./report/markdown.ts";
import type { Outcome } from "./report/outcome.ts";
import { pictures } from "./report/picture.ts";
import { Results } from "./results.ts";
import { runScenario } from "./run.ts";
import { estimateSeconds } from "./schedule.ts";
import type { Settings } from "./settings.ts";
import { Targets } from "./targets.ts";
import { TunnelPool } from "./tunnel-pool.ts";

const USAGE_EXIT = 2;
const INTERRUPTED_EXIT = 130;

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Of those that were asked for, what is there and what is not. */
async function look(
  asked: readonly string[] | undefined,
): Promise<{ there: Peer[]; absent: Outcome["absent"] }> {
  const chosen = ALL_PEERS.filter(
    ({ name, family }) => asked === undefined || asked.includes(name) || asked.includes(family),
  );
  const there: Peer[] = [];
  const absent: { peer: Peer; reason: string }[] = [];
  for (const peer of chosen) {
    const reason = await peer.missing();
    if (reason === undefined) there.push(peer);
    else absent.push({ peer, reason });
  }
  return { there, absent };
}

/** Written after each scenario: what an interrupted run has measured is not lost. */
function write(outcome: Outcome): string {
  const { out } = outcome.settings;
  mkdirSync(out, { recursive: true });
  for (const name of readdirSync(out)) if (name.endsWith(".svg")) rmSync(join(out, name));
  const drawn = pictures(outcome);
  for (const [name, svg] of drawn) writeFileSync(join(out, name), svg);
  const text = markdown(outcome, [...drawn.keys()]);
  writeFileSync(join(out, "report.md"), text);
  writeFileSync(join(out, "report.json"), json(outcome));
  return text;
}

/** @throws UsageError naming what this machine has not. */
function checkMachine(): void {
  if (process.platform !== "linux")
    throw new UsageError("processes are measured through /proc: it needs Linux");
  if (findProgram("iperf3") === undefined) throw new UsageError("iperf3 is needed: apt-get install iperf3");
}

async function measure(settings: Settings): Promise<void> {
  checkMachine();
  const { there, absent } = await look(settings.peers);
  for (const { peer, reason } of absent) say(`left out: ${peer.name} (${reason})`);
  const contenders = contendersOf(there, settings.modes);
  if (contenders.length === 0) {
    throw new UsageError("nothing of what was asked for is here, or none of it has this mode");
  }
  const scenarios = scenariosOf(settings);
  const minutes = Math.ceil(estimateSeconds(scenarios, contenders, settings.rounds) / 60);
  say(`${contenders.length} rows, ${settings.rounds} rounds: about ${minutes} minutes`);

  const targets = await Targets.start();
  const pool = new TunnelPool(targets.ports);
  const results = new Results();
  const versions = new Map<Peer, string>();
  for (const peer of there) versions.set(peer, await peer.version());
  const figures: Figure[] = [];
  const outcome: Outcome = {
    ...{ machine: await machineFacts(), settings, contenders, figures, results, versions, absent },
    connections: pool.connections,
  };
  let text = "";
  for (const scenario of scenarios) {
    figures.push(...scenario.steps.flatMap((step) => step.figures));
    const { rounds } = settings;
    await runScenario(scenario, { contenders, rounds, targets: targets.ports, pool, results, say });
    text = write(outcome);
  }
  await pool.stop();
  await targets.stop();
  process.stdout.write(`\n${text}`);
  say(`written to ${settings.out}`);
}

// However this ends, it leaves nothing behind.
process.once("exit", () => Program.killAll());
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => process.exit(INTERRUPTED_EXIT));
}

try {
  const settings = readCommandLine(process.argv.slice(2), ALL_PEERS);
  if (settings === "help") process.stdout.write(USAGE);
  else await measure(settings);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  say(`bench: ${error.message}\nbench --help tells all options.`);
  process.exitCode = USAGE_EXIT;
}
