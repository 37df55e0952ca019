import type { Settings } from "../settings.ts";
import { bulkSteps } from "./bulk.ts";
import { connectionSteps } from "./connections.ts";
import { distanceScenarios } from "./distance.ts";
import { growthStep } from "./growth.ts";
import { HALF_CLOSE_STEP } from "./half-close.ts";
import { latencySteps } from "./latency.ts";
import { memorySteps } from "./memory.ts";
import type { Scenario } from "./step.ts";
import { SURVIVAL_STEP } from "./survival.ts";

/** All that the settings ask for, in the order in which it is measured; none is without steps. */
export function scenariosOf(settings: Settings): Scenario[] {
  const wanted = new Set(settings.measures);
  const scenarios: Scenario[] = [
    { name: "bulk and CPU", steps: bulkSteps(settings) },
    { name: "latency", steps: wanted.has("latency") ? latencySteps(settings) : [] },
    { name: "connections", steps: wanted.has("connections") ? connectionSteps(settings) : [] },
    { name: "half-close", steps: wanted.has("half-close") ? [HALF_CLOSE_STEP] : [], isOnce: true },
    ...(wanted.has("distance") ? distanceScenarios(settings) : []),
    {
      name: "survival",
      steps: wanted.has("survival") ? [SURVIVAL_STEP] : [],
      isOnce: true,
      hasOwnTunnels: true,
    },
    {
      name: "memory",
      steps: wanted.has("memory") ? memorySteps(settings) : [],
      isOnce: true,
      hasOwnTunnels: true,
    },
    { name: "growth", steps: wanted.has("growth") ? [growthStep(settings)] : [], hasOwnTunnels: true },
  ];
  return scenarios.filter(({ steps }) => steps.length > 0);
}
