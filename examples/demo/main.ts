// A large transfer, both ways through both kinds of tunnel, while the WebSocket that carries it all dies again and again.
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { portOrAny } from "./free-port.ts";
import { Gauge } from "./gauge.ts";
import { Progress } from "./progress.ts";
import { complaints, type Findings, report } from "./report.ts";
import { sabotage } from "./saboteur.ts";
import { Screen } from "./screen.ts";
import { type Stage, setStage } from "./stage.ts";
import { stay } from "./stay.ts";
import { type Outcome, type Transfer, transferAll } from "./transfer.ts";
import { bytesText, MIB } from "./units.ts";

/** What each transfer carries in the trial, and at least and at most in earnest. */
const TRIAL_MIB = 8;
const LEAST_MIB = 64;
const MOST_MIB = 256;
/** The amount is chosen so that it takes about this long. */
const WANTED_SECONDS = 10;
/** If it takes longer than this something hangs. */
const DEADLINE_MS = 180_000;

const screen = new Screen(process.stdout);
try {
  const { values: flags } = parseArgs({
    options: {
      /** Leave everything running afterwards. */
      stay: { type: "boolean", default: false },
      /** How many MiB each of the four transfers carries. */
      mib: { type: "string" },
    },
  });
  const mib = flags.mib === undefined ? undefined : Number(flags.mib);
  if (mib !== undefined && !(Number.isInteger(mib) && mib >= 1 && mib <= 100_000)) {
    throw new Error(`--mib must be an integer from 1 to 100000, not ${flags.mib}`);
  }
  await demo(flags.stay, mib);
} catch (error) {
  screen.line(screen.style("red", `The demo failed: ${error instanceof Error ? error.message : error}`));
  process.exitCode = 1;
}

async function demo(stays: boolean, mib: number | undefined): Promise<void> {
  screen.line();
  screen.line(`${screen.style("bold", "Culvert")}: TCP over a WebSocket that may break at any moment`);
  screen.line();
  await using stage = await setStage({
    // A person who comes back to try wants to find the same ports again; nobody else cares.
    connectPort: stays ? await portOrAny(5678) : 0,
    listenPort: stays ? await portOrAny(6789) : 0,
    screen,
  });
  const findings = await Promise.race([transferUnderMischief(stage, mib), deadline()]);
  report(findings, screen);
  const wrong = complaints(findings);
  if (wrong.length > 0) throw new Error(wrong.join("\n  "));
  screen.line(screen.style("green", "Every byte arrived, once and in order, and no connection broke."));
  if (stays) await stay(stage, screen);
}

async function transferUnderMischief(stage: Stage, wantedMib: number | undefined): Promise<Findings> {
  const { client, server, proxy, connectUrl, listenUrl } = stage;
  const transfers: Transfer[] = [];
  for (const [tunnel, url] of [
    ["CONNECT", connectUrl],
    ["LISTEN", listenUrl],
  ] as const) {
    const greeting = await (await fetch(url)).text();
    screen.step(`${tunnel.padEnd(7)} ${url} answers: ${greeting.trim()}`);
    transfers.push({ tunnel, direction: "download", url }, { tunnel, direction: "upload", url });
  }

  const trial = new Progress(transfers.length * TRIAL_MIB * MIB);
  await transferAll(transfers, TRIAL_MIB, trial.add);
  const idle = await client.stats();
  const mib = wantedMib ?? amountFor(trial.bytesPerSecond / transfers.length);
  const progress = new Progress(transfers.length * mib * MIB);
  screen.step(
    `${bytesText(progress.totalBytes)} now, both ways through both tunnels at once; the WebSocket is`,
  );

  const gauge = new Gauge(client, progress, screen);
  let seconds = 0;
  let outcomes: Outcome[] = [];
  try {
    [outcomes] = await Promise.all([
      transferAll(transfers, mib, progress.add).finally(() => {
        seconds = (performance.now() - progress.startedAt) / 1000;
      }),
      sabotage(proxy, client, progress, screen),
    ]);
  } finally {
    gauge.stop();
  }
  screen.step("all four transfers are done");
  return {
    outcomes,
    progress,
    seconds,
    client: await client.stats(),
    server: await server.stats(),
    idleRttMs: idle.link.minRttMs,
    busyRttsMs: gauge.rttsMs,
  };
}

/** MiB for one transfer, at this many bytes a second. */
function amountFor(bytesPerSecond: number): number {
  const mib = 16 * Math.round((bytesPerSecond * WANTED_SECONDS) / MIB / 16);
  return Math.min(MOST_MIB, Math.max(LEAST_MIB, mib));
}

async function deadline(): Promise<never> {
  await wait(DEADLINE_MS, undefined, { ref: false });
  throw new Error(`after ${DEADLINE_MS / 1000} s it is still not done`);
}
