import type { MeasureName } from "./measures/figure.ts";
import type { Mode } from "./peers/peer.ts";

/** What is measured, and for how long. */
export interface Settings {
  readonly rounds: number;
  readonly measures: readonly MeasureName[];
  /** Families or names of peers; undefined: all that are found. */
  readonly peers: readonly string[] | undefined;
  readonly modes: readonly Mode[];
  /** Of each bulk transfer and of what else is measured over a time. */
  readonly seconds: number;
  /** One-way delays of the distance measure, ms. */
  readonly delaysMs: readonly number[];
  /** Rate of that link. */
  readonly megabitsPerSecond: number;
  /** Share of packets that it loses in its second half. */
  readonly lossRate: number;
  readonly idleStreams: readonly number[];
  readonly idleClients: number;
  /** All figures, and not the short set. */
  readonly isFull: boolean;
  /** Folder for the report. */
  readonly out: string;
}
