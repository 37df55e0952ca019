import type { CutHow } from "./fault.ts";

/** Where one direction of a connection is in its life. */
export type LanePhase =
  /** Not started: the target has not answered. */
  | { readonly name: "waiting" }
  | { readonly name: "carrying" }
  /** The source has ended; what waits goes first, then the end itself, not before `due`. */
  | { readonly name: "ending"; readonly how: CutHow; readonly due: number }
  /** The last bytes before a cut are on their way; the cut is the next that happens. */
  | { readonly name: "cutting" }
  /** Whatever comes is read and thrown away, its end too. */
  | { readonly name: "discarding" }
  /** The source has ended, and the sink was told or never will be. */
  | { readonly name: "over"; readonly passed: boolean };

type Name = LanePhase["name"];

/** The legal moves. A reset may follow an end, so "ending" comes again after itself and after "over". */
const MOVES: Readonly<Record<Name, readonly Name[]>> = {
  waiting: ["carrying", "discarding"],
  carrying: ["ending", "cutting", "discarding", "over"],
  ending: ["ending", "cutting", "over"],
  cutting: ["discarding"],
  discarding: ["discarding", "over"],
  over: ["ending", "over"],
};

/** Returns `to`. @throws Error for a move that is not legal: a mistake in this package. */
export function move(from: LanePhase, to: LanePhase): LanePhase {
  if (!MOVES[from.name].includes(to.name))
    throw new Error(`a lane cannot go from ${from.name} to ${to.name}`);
  return to;
}
