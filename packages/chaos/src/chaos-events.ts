import type { ConnectionInfo } from "./chaos-connection.ts";
import type { CutHow, DirectionFault } from "./fault.ts";

/** A connection that the proxy cut, as it was at that moment. */
export interface Cut {
  readonly how: CutHow;
  /** Which of the proxy's methods did it; a plan uses them too. */
  readonly cause: "cut" | "cutAfter";
  readonly connection: ConnectionInfo;
}

/** The events of a ChaosProxy, with their arguments. */
export interface ChaosEvents {
  /** Accepted; the target is being dialed, or not yet (acceptAndStall). */
  connection: [connection: ConnectionInfo];
  /** The target answered, bytes may flow. */
  open: [connection: ConnectionInfo];
  /** The target could not be reached; the visitor was reset. */
  dialFailed: [connection: ConnectionInfo, error: Error];
  /** A new connection was reset at once. */
  refused: [];
  /** The proxy cut a connection. */
  cut: [cut: Cut];
  /** The faults in force changed, by `set`, `pause`, `resume` or a plan. */
  faults: [faults: { readonly up: DirectionFault; readonly down: DirectionFault }];
  /** A connection is over, for whatever reason, and both its sockets are gone. */
  connectionClosed: [connection: ConnectionInfo];
}

/** Sums over all connections of one direction, live and over. */
export interface DirectionTotals {
  readonly bytesRead: number;
  readonly bytesForwarded: number;
  readonly bytesHeld: number;
  readonly bytesDropped: number;
  readonly bitsFlipped: number;
}

/** A snapshot of what the proxy did since its start. */
export interface ChaosStats {
  /** Connections accepted and not refused. */
  readonly accepted: number;
  readonly refused: number;
  readonly dialFailed: number;
  /** Connections that were cut, by how. */
  readonly cuts: Readonly<Record<CutHow, number>>;
  /** Live connections: neither cut nor closed. */
  readonly live: number;
  readonly up: DirectionTotals;
  readonly down: DirectionTotals;
}

/** Where the proxy writes what it does; pino's call shape, so that any such logger fits. */
export interface ChaosLog {
  debug(fields: object, message: string): void;
}
