import { setTimeout as sleep } from "node:timers/promises";
import type { ChaosLog } from "./chaos-events.ts";
import { ChaosPlan, type ChaosStep } from "./chaos-plan.ts";
import { ChaosProxy } from "./chaos-proxy.ts";
import { type Address, type Command, parseCommandLine, USAGE } from "./command-line.ts";
import type { Faults } from "./fault.ts";
import { Narrator } from "./narrator.ts";
import { Random } from "./random.ts";

/** Of a process, what the command needs. */
export interface Surroundings {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  /** It is to end. */
  readonly signal: AbortSignal;
}

/** Runs the proxy as a command line says; resolves with the exit code: 0, 2 for a wrong flag, 69 if it cannot listen. */
export async function run(
  args: readonly string[],
  { stdout, stderr, signal }: Surroundings,
): Promise<number> {
  let command: Command | "help";
  try {
    command = parseCommandLine(args);
  } catch (error) {
    stderr.write(`chaos: ${messageOf(error)}\n`);
    return 2;
  }
  if (command === "help") {
    stdout.write(USAGE);
    return 0;
  }
  const { listen, target, seed, forMs } = command;
  let proxy: ChaosProxy;
  let narrator: Narrator | undefined;
  const log: ChaosLog = {
    debug: (fields) => {
      if ("step" in fields) narrator?.step(fields.step as ChaosStep);
    },
  };
  try {
    proxy = await ChaosProxy.start({ ...listen, target, seed, log });
  } catch (error) {
    stderr.write(`chaos: ${messageOf(error)}\n`);
    return 69;
  }
  stdout.write(`chaos proxy listening on ${addressText(proxy)}, to ${addressText(target)}, seed ${seed}\n`);
  narrator = new Narrator(proxy, (text) => stdout.write(text));
  const enough = forMs === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(forMs)]);
  await harass(proxy, command, narrator, enough);
  const stats = proxy.stats();
  proxy.removeAllListeners();
  await proxy.close();
  narrator.sum(stats);
  return 0;
}

/** Until told to stop. */
async function harass(
  proxy: ChaosProxy,
  { shape, direction, cutEveryMs, cutAfterBytes, how, steps, plan, seed }: Command,
  narrator: Narrator,
  signal: AbortSignal,
): Promise<void> {
  if (shape !== undefined) proxy.set(faultsOn(direction, shape));
  if (cutAfterBytes !== undefined) {
    // Whichever way gets there first; the other rule goes with the connection.
    proxy.cutAfter({
      which: "each",
      bytes: cutAfterBytes,
      direction: direction === "down" ? "down" : "up",
      how,
    });
    if (direction === "both") {
      proxy.on("connection", ({ id }) =>
        proxy.cutAfter({ which: id, bytes: cutAfterBytes, direction: "down", how }),
      );
    }
  }
  const timer = cutEveryMs === undefined ? undefined : setInterval(() => proxy.cut({ how }), cutEveryMs);
  const seeds = new Random(seed);
  for (let round = 1; !signal.aborted; round += 1) {
    if (plan !== undefined) {
      const roundSeed = round === 1 ? seed : seeds.uint32();
      narrator.say(`plan ${plan.name}, round ${round} (seed ${roundSeed})`);
      await proxy.run(ChaosPlan.random(roundSeed, plan.options), signal);
    } else if (steps.length > 0) await proxy.run(steps, signal);
    else await untilAborted(signal);
  }
  clearInterval(timer);
}

function faultsOn(direction: Command["direction"], fault: NonNullable<Command["shape"]>): Faults {
  if (direction === "both") return { up: fault, down: fault };
  return direction === "up" ? { up: fault } : { down: fault };
}

/** A signal alone keeps no process alive; the listening socket does. */
async function untilAborted(signal: AbortSignal): Promise<void> {
  await sleep(2 ** 31 - 1, undefined, { signal, ref: false }).catch(() => undefined);
}

function addressText({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
