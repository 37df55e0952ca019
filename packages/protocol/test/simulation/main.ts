// Runs seeds by hand: node main.ts FIRST COUNT. A failing seed replays alone with: node main.ts SEED 1
import { runSeeds } from "./seeds.ts";

const [first = "1", wanted = "1000"] = process.argv.slice(2);
try {
  process.stdout.write(`${JSON.stringify(runSeeds(Number(first), Number(wanted)))}\n`);
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
