import type { Contender } from "./contender.ts";
import type { Scenario, Step } from "./measures/step.ts";

/** One measurement: which step, of whom, in which round. */
export interface Turn {
  readonly round: number;
  readonly step: Step;
  readonly contender: Contender;
}

/**
 * The order in which a scenario is measured: A B C for the first figure, A B C for the next, and all of it again in
 * each round. A machine whose speed drifts slows all alike.
 */
export function turnsOf(scenario: Scenario, contenders: readonly Contender[], rounds: number): Turn[] {
  const turns: Turn[] = [];
  for (let round = 0; round < (scenario.isOnce === true ? 1 : rounds); round += 1) {
    for (const step of scenario.steps) {
      for (const contender of contenders) turns.push({ round, step, contender });
    }
  }
  return turns;
}

/** From the start of a tunnel to its being warm. */
const START_SECONDS = 2;

/** About how long scenarios take, in seconds. */
export function estimateSeconds(
  scenarios: readonly Scenario[],
  contenders: readonly Contender[],
  rounds: number,
): number {
  let seconds = 0;
  const links = new Set<string>();
  for (const scenario of scenarios) {
    // Scenarios with the same link share their tunnels.
    const link = JSON.stringify(scenario.link) ?? "none";
    if (scenario.hasOwnTunnels !== true && !links.has(link)) seconds += contenders.length * START_SECONDS;
    links.add(link);
    for (const { step } of turnsOf(scenario, contenders, rounds)) seconds += step.seconds;
  }
  return seconds;
}
