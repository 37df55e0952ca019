import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { MUTANTS, type Mutant } from "./simulation/mutants.ts";

const PACKAGE = join(import.meta.dirname, "..");
const SEEDS = "12000";

/** A copy of the protocol and its simulation with one bug in it; what the simulation says of it. */
async function simulate(mutant: Mutant): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "culvert-mutant-"));
  try {
    for (const part of ["src", "test/simulation", "package.json"]) {
      cpSync(join(PACKAGE, part), join(folder, part), { recursive: true });
    }
    const file = join(folder, mutant.file);
    let source = readFileSync(file, "utf8");
    for (const { find, replace } of mutant.edits) {
      expect(source.split(find).length - 1, `"${find}" must stand once in ${mutant.file}`).toBe(1);
      source = source.replace(find, () => replace);
    }
    writeFileSync(file, source);
    const child = spawn(process.execPath, [join(folder, "test/simulation/main.ts"), "1", SEEDS]);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
    return code === 0 ? "nothing" : output;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

it("each rule is one of a section of the specification", () => {
  const text = readFileSync(join(PACKAGE, "../../docs/protocol.md"), "utf8");
  for (const { rule } of MUTANTS) expect(text).toContain(`\n## ${Number.parseInt(rule, 10)}. `);
});

describe("the simulation sees each bug that is put in", () => {
  for (const mutant of MUTANTS) {
    it(`${mutant.rule}: ${mutant.bug}`, async () => {
      const seen = await simulate(mutant);
      expect(seen).toMatch(/seed \d+: /); // a seed that failed, not a source that does not load
    });
  }
});
