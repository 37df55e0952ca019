import { describe, expect, test } from "vitest";
import { bytes } from "../../packages/protocol/test/support/hex.ts";
import { checkMessage } from "./codec-fuzz.ts";
import { keptInputs, seeds } from "./corpus.ts";
import { playFor } from "./fuzz.ts";
import { SessionFuzz } from "./session-fuzz.ts";
import { TARGETS } from "./targets.ts";

/** The same in every run, so that a red run is red for everybody; `pnpm fuzz` looks further. */
const SEED = Number(process.env.FUZZ_SEED ?? 20_261_121);
const MILLISECONDS = Number(process.env.FUZZ_SECONDS ?? 60) * 1000;

describe("what was once found, or is hard to find", () => {
  test.each(keptInputs())("%s", (_name, kept) => {
    if (kept.target === "codec") checkMessage(bytes(kept.message));
    else new SessionFuzz(kept.seed, seeds()).round(kept.round);
  });
});

describe(`whatever comes, with seed ${SEED}`, () => {
  test.each(TARGETS)("$name", { timeout: MILLISECONDS + 60_000 }, async ({ share, start }) => {
    await using fuzz = await start(SEED);
    expect(await playFor(fuzz, MILLISECONDS * share)).toBeGreaterThan(0);
  });
});
