// All kinds of traffic under all kinds of trouble, every byte checked: `pnpm soak --minutes N [--seed S]`.
import { Guard } from "./guard.ts";
import { Journal } from "./journal.ts";
import { type Settings, settingsOf, USAGE } from "./settings.ts";
import { Soak } from "./soak.ts";
import { ALLOWED_GROWTH, summary } from "./summary.ts";
import { bytesText, countText, timeText } from "./units.ts";

const PROGRESS_MS = 10_000;

function progress(soak: Soak): string {
  const { ledger, journal, live, troubles, resumes, startedAt } = soak;
  const { connections, bytes } = ledger.total;
  const memory = (soak.census?.present ?? []).map(
    ({ process, last }) => `${process.name.replace("client ", "")} ${bytesText(last?.rssBytes ?? 0)}`,
  );
  return (
    `${timeText(performance.now() - startedAt).padStart(12)}  ${countText(connections)} connections ` +
    `(${live} open), ${bytesText(bytes)}, ${troubles} troubles, ${resumes} resumes, ` +
    `${journal.failures.length} failures; ${memory.join(", ")}\n`
  );
}

async function main(settings: Settings): Promise<number> {
  const guard = new Guard();
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      // The second one does not wait for anything; the guard ends what is left.
      if (interrupted.signal.aborted) process.exit(130);
      interrupted.abort();
    });
  }
  const journal = new Journal();
  journal.on("failure", ({ at, text, context }) => {
    const indented = context.replaceAll(/^/gm, "    ");
    process.stdout.write(`\nFAILURE after ${timeText(at)}, seed ${settings.seed}: ${text}\n${indented}\n\n`);
  });
  const soak = new Soak(settings, guard, journal);
  process.stdout.write(`Soak for ${settings.minutes} min with seed ${settings.seed}\n`);
  const ticker = setInterval(() => process.stdout.write(progress(soak)), PROGRESS_MS);
  try {
    await soak.run(interrupted.signal);
  } catch (error) {
    journal.fail(`the soak itself failed: ${error instanceof Error ? error.stack : error}`);
  }
  clearInterval(ticker);
  for (const { process: culvert, growth } of soak.census?.lives ?? []) {
    if (growth === undefined || growth <= ALLOWED_GROWTH) continue;
    journal.fail(`the memory of ${culvert.name} grew by ${(growth * 100).toFixed(1)} %`);
  }
  const text = summary(soak, settings, interrupted.signal.aborted);
  await soak.close();
  guard.close();
  process.stdout.write(text);
  if (journal.failures.length > 0) return 1;
  return interrupted.signal.aborted ? 130 : 0;
}

try {
  const settings = settingsOf(process.argv.slice(2));
  if (settings === undefined) process.stdout.write(USAGE);
  else process.exitCode = await main(settings);
} catch (error) {
  process.stderr.write(`soak: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 2;
}
