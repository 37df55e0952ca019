import { expect, test } from "vitest";
import { contendersOf, nameOf } from "../contender.ts";
import type { Figure } from "../measures/figure.ts";
import type { Scenario, Step } from "../measures/step.ts";
import { estimateSeconds, turnsOf } from "../schedule.ts";
import { CULVERT, contender, DIRECT, FAST, RATE, samplePeer, TIME } from "./sample.ts";

function step(figure: Figure): Step {
  return { figures: [figure], seconds: 2, maxSeconds: 5, run: async () => [1] };
}

const CONTENDERS = [DIRECT, CULVERT, FAST].map((peer) => contender(peer));

function order(scenario: Scenario, rounds: number): string[] {
  return turnsOf(scenario, CONTENDERS, rounds).map(
    (turn) => `${turn.round} ${turn.step.figures[0]?.id} ${turn.contender.peer.name}`,
  );
}

test("measures one after the other, figure by figure, and all again in each round", () => {
  expect(order({ name: "two", steps: [step(RATE), step(TIME)] }, 2)).toEqual([
    "0 rate direct",
    "0 rate culvert-ws",
    "0 rate fast",
    "0 time direct",
    "0 time culvert-ws",
    "0 time fast",
    "1 rate direct",
    "1 rate culvert-ws",
    "1 rate fast",
    "1 time direct",
    "1 time culvert-ws",
    "1 time fast",
  ]);
});

test("measures once what does not vary", () => {
  expect(order({ name: "once", steps: [step(RATE)], isOnce: true }, 3)).toHaveLength(3);
});

test("estimates starts once for each link", () => {
  const scenario: Scenario = { name: "one", steps: [step(RATE)] };
  const alone = estimateSeconds([scenario], CONTENDERS, 1);
  expect(estimateSeconds([scenario, scenario], CONTENDERS, 1) - alone).toBe(6);
  expect(estimateSeconds([scenario], CONTENDERS, 3) - alone).toBe(12);
});

test("puts limits into a run once, and peers into the modes that they have", () => {
  const listener = samplePeer("listener", "peer", { modes: ["listen"] });
  const rows = contendersOf([DIRECT, CULVERT, listener], ["connect", "listen"]);
  expect(rows.map(nameOf)).toEqual(["direct", "culvert-ws connect", "culvert-ws listen", "listener listen"]);
});
