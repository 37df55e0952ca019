import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { ChaosLog, Cut } from "./chaos-events.ts";
import { type ChaosKind, ChaosPlan, type ChaosStep, faultsOf, zeroCounts } from "./chaos-plan.ts";
import type { ChaosProxy } from "./chaos-proxy.ts";
import type { Faults } from "./fault.ts";

/** A step waits this long for an open connection, because a fault without one would test nothing. */
const OPEN_WAIT_MS = 5_000;

/** What a plan did. */
export interface ChaosReport {
  /** The seed of the plan; undefined for one written by hand. */
  readonly seed: number | undefined;
  /** Steps that took effect, by kind. A "cutAfter" that cut nothing within its time is not counted. */
  readonly counts: Readonly<Record<ChaosKind, number>>;
  /** The sum of `counts`. */
  readonly done: number;
  /** Steps that found no open connection within 5 s, and cuts that did not come about. */
  readonly missed: number;
  /** Connections that were cut meanwhile, by the plan or by others. */
  readonly cuts: number;
  readonly elapsedMs: number;
  /** True if the signal or the proxy's close ended it before its last step. */
  readonly aborted: boolean;
}

/** What a run does to its proxy beyond the public methods. */
export interface RunHost {
  readonly proxy: ChaosProxy;
  readonly log: ChaosLog;
  /** Puts faults over those that are set, and refuses new connections or not. */
  impose(faults: Faults, refuses: boolean): void;
  /** Resets the connections of which a black hole swallowed something. */
  cutBroken(): void;
}

/** One execution of a plan. */
export class ChaosRun {
  readonly #plan: ChaosPlan;
  readonly #host: RunHost;

  /** @throws TypeError or RangeError for a bad step. */
  constructor(plan: ChaosPlan | readonly ChaosStep[], host: RunHost) {
    this.#plan = plan instanceof ChaosPlan ? plan : new ChaosPlan(plan);
    this.#host = host;
  }

  /** Runs it, once. Never rejects for an abort. */
  async start(signal: AbortSignal): Promise<ChaosReport> {
    const counts = zeroCounts();
    const startedAt = performance.now();
    const cutsBefore = this.#cuts();
    let done = 0;
    let missed = 0;
    for (const step of this.#plan.steps) {
      const effective = await this.#step(step, signal);
      if (effective) {
        counts[step.kind]++;
        done++;
      } else if (!signal.aborted) {
        missed++;
      }
      if (signal.aborted) break;
    }
    return {
      seed: this.#plan.seed,
      counts,
      done,
      missed,
      cuts: this.#cuts() - cutsBefore,
      elapsedMs: performance.now() - startedAt,
      aborted: done + missed < this.#plan.steps.length,
    };
  }

  /** Returns true if it took effect, however short. */
  async #step(step: ChaosStep, signal: AbortSignal): Promise<boolean> {
    await pause(step.gapMs, signal);
    if (signal.aborted || !(await this.#isOpen(signal))) return false;
    this.#host.log.debug({ step }, "chaos step");
    switch (step.kind) {
      case "rst":
      case "fin":
        return this.#host.proxy.cut({ how: step.kind }) > 0;
      case "cutAfter":
        return this.#cutAfter(step, signal);
      default:
        this.#host.impose(faultsOf(step), step.kind === "refuse");
        if (step.kind === "refuse") this.#host.proxy.cut({ how: "rst" });
        await pause(step.forMs, signal);
        // First the reset: a broken connection must not carry a byte behind the hole.
        if (step.kind === "blackhole") this.#host.cutBroken();
        this.#host.impose({}, false);
        return true;
    }
  }

  async #cutAfter(step: ChaosStep & { kind: "cutAfter" }, signal: AbortSignal): Promise<boolean> {
    const { proxy } = this.#host;
    const armed = new Set(proxy.connections.map(({ id }) => id));
    const enough = new AbortController();
    let happened = false;
    const onCut = ({ cause, connection }: Cut): void => {
      if (cause === "cutAfter" && armed.has(connection.id)) happened = true;
      onGone(connection);
    };
    const onGone = ({ id }: { readonly id: number }): void => {
      armed.delete(id);
      if (armed.size === 0) enough.abort();
    };
    proxy.on("cut", onCut).on("connectionClosed", onGone);
    for (const which of armed) {
      proxy.cutAfter({ direction: step.direction, bytes: step.bytes, how: step.how, which });
    }
    await pause(step.forMs, AbortSignal.any([signal, enough.signal]));
    proxy.off("cut", onCut).off("connectionClosed", onGone);
    for (const id of armed) proxy.cancelCuts({ which: id });
    return happened;
  }

  async #isOpen(signal: AbortSignal): Promise<boolean> {
    const { proxy } = this.#host;
    if (proxy.connections.some(({ state }) => state === "open")) return true;
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(OPEN_WAIT_MS)]);
    return once(proxy, "open", { signal: deadline }).then(
      () => true,
      () => false,
    );
  }

  #cuts(): number {
    const { fin, rst } = this.#host.proxy.stats().cuts;
    return fin + rst;
  }
}

/** Waits, for less if the signal says so; never rejects. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => {});
}
