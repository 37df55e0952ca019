import type { ConnectionInfo } from "./chaos-connection.ts";
import type { ChaosStats, DirectionTotals } from "./chaos-events.ts";
import type { CutHow, Direction } from "./fault.ts";

const ZERO: DirectionTotals = {
  bytesRead: 0,
  bytesForwarded: 0,
  bytesHeld: 0,
  bytesDropped: 0,
  bitsFlipped: 0,
};

/** What a proxy did so far: counters, and the sums of the connections that are gone. */
export class Tally {
  accepted = 0;
  refused = 0;
  dialFailed = 0;
  readonly cuts: Record<CutHow, number> = { fin: 0, rst: 0 };
  readonly #over: Record<Direction, DirectionTotals> = { up: ZERO, down: ZERO };

  /** Keeps the sums of a connection that is over. */
  add(connection: ConnectionInfo): void {
    this.#over.up = sum(this.#over.up, connection.up);
    this.#over.down = sum(this.#over.down, connection.down);
  }

  /** @param connections those that were not added yet. */
  stats(connections: readonly ConnectionInfo[], live: number): ChaosStats {
    return {
      accepted: this.accepted,
      refused: this.refused,
      dialFailed: this.dialFailed,
      cuts: { ...this.cuts },
      live,
      up: connections.reduce((total, { up }) => sum(total, up), this.#over.up),
      down: connections.reduce((total, { down }) => sum(total, down), this.#over.down),
    };
  }
}

function sum(a: DirectionTotals, b: DirectionTotals): DirectionTotals {
  return {
    bytesRead: a.bytesRead + b.bytesRead,
    bytesForwarded: a.bytesForwarded + b.bytesForwarded,
    bytesHeld: a.bytesHeld + b.bytesHeld,
    bytesDropped: a.bytesDropped + b.bytesDropped,
    bitsFlipped: a.bitsFlipped + b.bitsFlipped,
  };
}
