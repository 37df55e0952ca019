import { compare } from "./comparison.ts";
import { groupsOf, type Outcome } from "./outcome.ts";

/** The report for programs: every single value, and what was made of them. */
export function json(outcome: Outcome): string {
  const { machine, settings, figures, results, versions, connections, absent } = outcome;
  const cells = groupsOf(outcome).flatMap(({ mode, security, contenders }) =>
    figures.flatMap((figure) =>
      compare(figure, contenders, results)
        .filter(({ cell }) => cell.kind !== "none")
        .map(({ contender, cell, ratio }) => ({
          figure: figure.id,
          peer: contender.peer.name,
          kind: contender.peer.kind,
          mode,
          security,
          failure: results.failure(figure, contender),
          ...(cell.kind === "measured"
            ? { values: [...cell.values.values()], ...cell.spread, ratio: ratio ?? null }
            : {}),
        })),
    ),
  );
  const peers = [...versions].map(([peer, version]) => ({
    name: peer.name,
    version,
    security: peer.security,
    cipher: peer.cipher,
    note: peer.note,
  }));
  const report = {
    machine,
    settings,
    peers,
    connections: Object.fromEntries(connections),
    absent: absent.map(({ peer, reason }) => ({ name: peer.name, reason })),
    figures,
    cells,
  };
  return `${JSON.stringify(report, undefined, 2)}\n`;
}
