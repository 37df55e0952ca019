/** The measures by the names of the command line, in the order in which they run. */
export const MEASURE_NAMES = [
  "bulk",
  "cpu",
  "latency",
  "connections",
  "half-close",
  "distance",
  "survival",
  "memory",
  "growth",
] as const;

export type MeasureName = (typeof MEASURE_NAMES)[number];

/** One thing that is measured of every contender: a column of the report. */
export interface Figure {
  readonly id: string;
  readonly measure: MeasureName;
  /** Figures of one section share a table. */
  readonly section: string;
  readonly title: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
  readonly digits: number;
  /** For a yes or no: what 0 and 1 are called. No ratio is made of it then. */
  readonly words?: readonly [no: string, yes: string];
  /** A ratio says nothing here. */
  readonly noRatio?: boolean;
}
