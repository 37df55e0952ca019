import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { playFor } from "./fuzz.ts";
import { TARGETS } from "./targets.ts";

/** `node test/fuzz/main.ts --minutes 60 [--seed 4711] [--target session]`: the same seed plays the same rounds. */
const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: String(randomInt(2 ** 32)) },
    target: { type: "string" },
  },
});
const seed = Number(values.seed);
const milliseconds = Number(values.minutes) * 60_000;
const targets = TARGETS.filter(({ name }) => values.target === undefined || values.target === name);
if (targets.length === 0 || !(milliseconds > 0)) throw new Error("--minutes <number>, --target <name>");
const shares = targets.reduce((sum, { share }) => sum + share, 0);

for (const { name, share, start } of targets) {
  console.log(`${name}: seed ${seed}`);
  await using fuzz = await start(seed);
  const rounds = await playFor(fuzz, (milliseconds * share) / shares);
  console.log(`${name}: ${rounds} rounds, nothing found`);
}
