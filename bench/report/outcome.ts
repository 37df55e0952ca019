import { type Contender, nameOf } from "../contender.ts";
import type { Machine } from "../machine.ts";
import type { Figure } from "../measures/figure.ts";
import type { Mode, Peer, Security } from "../peers/peer.ts";
import type { Results } from "../results.ts";
import type { Settings } from "../settings.ts";

/** All that a report is made of. */
export interface Outcome {
  readonly machine: Machine;
  readonly settings: Settings;
  readonly contenders: readonly Contender[];
  /** In the order of the report. */
  readonly figures: readonly Figure[];
  readonly results: Results;
  readonly versions: ReadonlyMap<Peer, string>;
  /** TCP connections with 16 streams open, by the name of the contender. */
  readonly connections: ReadonlyMap<string, number>;
  /** What could not run, with the reason. */
  readonly absent: readonly { readonly peer: Peer; readonly reason: string }[];
}

/** Those that are compared with one another. */
export interface Group {
  readonly mode: Mode;
  readonly security: Security;
  readonly title: string;
  readonly contenders: readonly Contender[];
}

const MODES: Readonly<Record<Mode, string>> = {
  connect: "CONNECT (local forward)",
  listen: "LISTEN (remote forward)",
};
const SECURITIES: readonly Security[] = ["none", "encrypted"];

/** A group for each mode and protection; limits stand beside each. */
export function groupsOf({ contenders, settings }: Outcome): Group[] {
  return settings.modes.flatMap((mode) =>
    SECURITIES.map((security) => ({
      mode,
      security,
      title: `${MODES[mode]}, ${security === "none" ? "plain" : "encrypted"}`,
      contenders: contenders.filter(
        ({ peer, mode: own }) => peer.kind === "limit" || (own === mode && peer.security === security),
      ),
    })).filter((group) => group.contenders.some(({ peer }) => peer.kind !== "limit")),
  );
}

/** Figures of one table, in order. */
export function sectionsOf(figures: readonly Figure[]): Map<string, Figure[]> {
  return Map.groupBy(figures, ({ section }) => section);
}

/** For tables that hold both modes. */
export function connectionsOf({ connections }: Outcome, peer: Peer): string {
  const counts = peer.modes
    .map((mode) => connections.get(nameOf({ peer, mode })))
    .filter((count) => count !== undefined);
  return [...new Set(counts)].join(" / ") || "-";
}
