import { stripVTControlCharacters } from "node:util";
import { type Contender, nameOf } from "./contender.ts";
import type { Figure } from "./measures/figure.ts";
import type { Scenario, StepContext } from "./measures/step.ts";
import type { Results } from "./results.ts";
import { type Turn, turnsOf } from "./schedule.ts";
import type { TargetPorts } from "./targets.ts";
import { Tunnel } from "./tunnel.ts";
import type { TunnelPool } from "./tunnel-pool.ts";

/** To start and warm a tunnel, besides what the step itself may take. */
const START_SECONDS = 30;

export interface RunOptions {
  readonly contenders: readonly Contender[];
  readonly rounds: number;
  readonly targets: TargetPorts;
  readonly pool: TunnelPool;
  readonly results: Results;
  /** Told of each value and failure. */
  readonly say: (line: string) => void;
}

/** Measures one scenario. What fails becomes a cell that says so; the run goes on. */
export async function runScenario(scenario: Scenario, options: RunOptions): Promise<void> {
  const { contenders, rounds, pool, say } = options;
  say(`-- ${scenario.name}`);
  await pool.use(scenario.link);
  for (const turn of turnsOf(scenario, contenders, rounds)) await take(turn, options);
}

async function take({ round, step, contender }: Turn, options: RunOptions): Promise<void> {
  const { pool, results, say } = options;
  const out = new AbortController();
  const timer = setTimeout(
    () => out.abort(new Error("out of time")),
    (START_SECONDS + step.maxSeconds) * 1000,
  );
  try {
    const run = step.run(contextOf(contender, options, out.signal));
    const values = await Promise.race([run, whenAborted(out.signal)]);
    step.figures.forEach((figure, i) => {
      const value = values[i];
      if (value === undefined) return;
      results.add(figure, contender, round, value);
      say(line(figure, contender, value.toFixed(figure.digits)));
    });
  } catch (error) {
    out.abort(error); // whatever of it still runs
    const words = pool.lastWords(contender);
    const reason = words === undefined ? reasonFor(error) : `${reasonFor(error)}; ${words}`;
    for (const figure of step.figures) results.fail(figure, contender, reason);
    say(line(step.figures[0], contender, `failed: ${reason}`));
    await pool.drop(contender);
  } finally {
    clearTimeout(timer);
    out.abort(new Error("over"));
  }
}

function contextOf(contender: Contender, options: RunOptions, signal: AbortSignal): StepContext {
  const { pool, targets } = options;
  return {
    contender,
    targets,
    signal,
    tunnel: () => pool.get(contender, signal),
    withTunnel: async (settings, use, also) => {
      // A second one of it would want the same port.
      if (contender.peer.fixedPort !== undefined) await pool.drop(contender);
      const both = also === undefined ? signal : AbortSignal.any([signal, also]);
      const tunnel = await Tunnel.start({ ...contender, targets, ...settings }, both);
      try {
        return await use(tunnel);
      } catch (error) {
        throw new Error(`${reasonFor(error)}; ${tunnel.lastWords}`, { cause: error });
      } finally {
        await tunnel.stop();
      }
    },
  };
}

function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}

function reasonFor(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return stripVTControlCharacters(text).replaceAll(/\s+/g, " ").slice(0, 300);
}

function line(figure: Figure | undefined, contender: Contender, text: string): string {
  const what = figure === undefined ? "" : `${figure.title}${figure.unit === "" ? "" : ` (${figure.unit})`}`;
  return `${nameOf(contender).padEnd(22)} ${what.padEnd(44)} ${text}`;
}
