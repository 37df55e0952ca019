import type { Contender } from "../contender.ts";
import type { Figure } from "../measures/figure.ts";
import type { Cell, Results } from "../results.ts";
import { type Spread, spread } from "../statistics.ts";

/** The best of the peers, in one mode and with the same protection. */
export interface Best {
  readonly contender: Contender;
  readonly median: number;
}

export interface Comparison {
  readonly contender: Contender;
  readonly cell: Cell;
  /** To the best peer; above 1 this contender is ahead, whether more or less is better. */
  readonly ratio: Spread | undefined;
}

/** Only peers are compared with, and only those that protect alike: a limit is no tunnel, and Culvert no peer of its own. */
export function bestPeer(figure: Figure, group: readonly Contender[], results: Results): Best | undefined {
  let best: Best | undefined;
  for (const contender of group) {
    if (contender.peer.kind !== "peer") continue;
    const cell = results.cell(figure, contender);
    if (cell.kind !== "measured") continue;
    const { median } = cell.spread;
    const isAhead =
      best === undefined || (figure.better === "higher" ? median > best.median : median < best.median);
    if (isAhead) best = { contender, median };
  }
  return best;
}

/** Each of a group beside the best peer of that group. */
export function compare(figure: Figure, group: readonly Contender[], results: Results): Comparison[] {
  const best = bestPeer(figure, group, results);
  return group.map((contender) => {
    const cell = results.cell(figure, contender);
    return { contender, cell, ratio: best && ratioOf(figure, cell, results.cell(figure, best.contender)) };
  });
}

/** Rounds are compared one by one, since what slowed a round slowed both. */
function ratioOf(figure: Figure, own: Cell, best: Cell): Spread | undefined {
  if (figure.words !== undefined || figure.noRatio === true) return undefined;
  if (own.kind !== "measured" || best.kind !== "measured") return undefined;
  const ratio = (a: number, b: number): number => (figure.better === "higher" ? a / b : b / a);
  const rounds: number[] = [];
  for (const [round, value] of own.values) {
    const other = best.values.get(round);
    if (other !== undefined && Number.isFinite(ratio(value, other))) rounds.push(ratio(value, other));
  }
  return rounds.length === 0 ? undefined : spread(rounds);
}
