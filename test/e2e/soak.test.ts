import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { until } from "../support/deadline.ts";
import { Program, run } from "./support/program.ts";

const SOAK = fileURLToPath(new URL("../../soak/main.ts", import.meta.url));
const MINUTES = process.env.CULVERT_E2E_SOAK_MINUTES ?? "2";
const SEED = process.env.CULVERT_E2E_SOAK_SEED ?? "7";

/** It waits for everything to come to an end after its time, and a busy machine is slow at that. */
const SPARE_MS = 300_000;

/** Those that were started by `parent`, and still run. */
function childrenOf(parent: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/status`, "utf8").includes(`\nPPid:\t${parent}\n`);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** One that has ended and that nobody has asked for yet is a zombie: whose child it became may take its time. */
function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !/\) [ZX] /.test(stat);
  } catch {
    return false;
  }
}

describe("the soak", () => {
  test(
    "finds no wrong byte, no hang and no reset without a reason, and tells what it saw",
    async () => {
      const withinMs = Number(MINUTES) * 60_000 + SPARE_MS;
      const args = [SOAK, "--minutes", MINUTES, "--seed", SEED];
      const { code, stdout } = await run(process.execPath, args, { withinMs });
      console.log(stdout);
      expect(code, stdout).toBe(0);
      expect(stdout).toMatch(/^Soak of \d+ min \d+ s, seed \d+$/m);
      expect(stdout).toMatch(/^Carried {2}[\d,]{4,} connections, [\d.]+ [MG]iB, every byte compared$/m);
      for (const shape of ["bulk up", "bulk down", "echo", "single bytes", "idle", "short"]) {
        expect(stdout).toMatch(new RegExp(`^  ${shape} +[1-9][\\d,]* +[1-9][\\d,]* +[\\d,]+ +\\d`, "m"));
      }
      for (const reason of ["its visitor reset it", "its target reset it", "its target refused it"]) {
        expect(stdout).toMatch(new RegExp(`^  ${reason} +[1-9]`, "m"));
      }
      for (const trouble of ["reset", "end", "cut in a frame", "black hole", "stall"]) {
        expect(stdout).toMatch(new RegExp(`^  ${trouble} +[1-9]`, "m"));
      }
      // Which of the processes it hits first is up to the seed.
      expect(stdout).toMatch(/^ {2}(client|server) (frozen|killed|stopped) +[1-9]/m);
      expect(stdout).toMatch(/^Sessions {2}[\d,]+ begun, resumed [1-9][\d,]* times$/m);
      expect(stdout).toMatch(/^Longest stall {2}\d/m);
      for (const name of ["server quick", "client ada", "server default", "client dot"]) {
        expect(stdout).toMatch(new RegExp(`^  ${name} \\(\\d+\\)( +[\\d.-]+){4} `, "m"));
      }
      expect(stdout).toMatch(/^PASSED: no wrong byte, no hang, no reset without a reason\.$/m);
    },
    Number(MINUTES) * 60_000 + SPARE_MS,
  );

  test.each(["SIGINT", "SIGKILL"] as const)("leaves nobody behind at %s", async (signal) => {
    await using soak = await Program.start(process.execPath, {
      args: [SOAK, "--minutes", "5", "--seed", SEED],
    });
    // Its first line of figures: all of them run, and the guard knows them. One that is being started when the soak is
    // killed is in nobody's list yet.
    await until(() => /^ +[\d.]+ s +\d+ connections/m.test(soak.stdout.text), "it has begun", 60_000);
    const children = childrenOf(soak.pid);
    expect(children.length).toBeGreaterThanOrEqual(7); // six of Culvert and the guard
    const { code } = await soak.end(signal, 30_000);
    if (signal === "SIGINT") {
      expect(code).toBe(130);
      expect(soak.stdout.text).toMatch(/^Interrupted; until then no wrong byte/m);
    }
    await until(() => !children.some(isRunning), "no process is left");
  });
});
