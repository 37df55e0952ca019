import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { need, programPath } from "../e2e/support/needed-programs.ts";
import { soon } from "../support/deadline.ts";
import { CarryingProcesses } from "./support/carrying-processes.ts";
import { IS_FULL_LENGTH } from "./support/scale.ts";

const BUSY_LOOPS = 4;
const LASTS_S = IS_FULL_LENGTH ? 60 : 6;

/** A processor that this process may use. */
function processor(): string {
  const allowed = /^Cpus_allowed_list:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"));
  return allowed?.[1] ?? "0";
}

it("four busy loops on the processor of both sides: nobody is taken for dead", {
  timeout: (LASTS_S + 60) * 1000,
}, async (context) => {
  need(context, "taskset");
  const session = { pingIntervalMs: 1000, silenceMs: 2500 };
  await using processes = await CarryingProcesses.start({ session });
  const where = processor();
  for (const { pid } of [processes.server, processes.client]) {
    const pinned = spawn(programPath("taskset"), ["-a", "-p", "-c", where, String(pid)], { stdio: "ignore" });
    expect(await once(pinned, "exit")).toEqual([0, null]);
  }
  // They end by themselves, so that nothing is left of them whatever becomes of this process.
  const loop = `end=$(($(date +%s) + ${LASTS_S})); while :; do i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; [ $(date +%s) -lt $end ] || exit 0; done`;
  const loops = Array.from({ length: BUSY_LOOPS }, () =>
    spawn(programPath("taskset"), ["-c", where, "sh", "-c", loop], { stdio: "ignore" }),
  );
  const over = Promise.all(loops.map((child) => once(child, "exit")));
  await processes.moves();
  await soon(over, "the loops end", (LASTS_S + 30) * 1000);
  await processes.moves();
  await processes.settle();
  expect(await processes.detachments()).toEqual([[], []]);
  expect(await processes.client.ask("stats")).toMatchObject({ dials: 1, sessions: 1 });
});
