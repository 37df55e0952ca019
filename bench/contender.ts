import type { Mode, Peer } from "./peers/peer.ts";

/** A peer in one mode: a row of the report. */
export interface Contender {
  readonly peer: Peer;
  readonly mode: Mode;
}

/** All that can run; what is no tunnel has no modes that differ, so it runs once. */
export function contendersOf(peers: readonly Peer[], modes: readonly Mode[]): Contender[] {
  return modes.flatMap((mode) =>
    peers
      .filter(({ kind, modes: has }) => has.includes(mode) && (kind !== "limit" || mode === modes[0]))
      .map((peer) => ({ peer, mode })),
  );
}

/** For progress and for reports: `bore listen`. */
export function nameOf({ peer, mode }: Contender): string {
  return peer.kind === "limit" ? peer.name : `${peer.name} ${mode}`;
}
