import { World, type WorldReport } from "./world.ts";

export interface SeedsReport {
  /** Seeds that went through enough to count. */
  readonly counted: number;
  readonly run: number;
  /** Of the counted ones: with a full replay buffer and an empty window. */
  readonly pressed: number;
  readonly frames: number;
  readonly cuts: number;
  readonly resumes: number;
  readonly replayed: number;
  readonly ended: number;
  readonly lastSeed: number;
}

/** What a seed must have gone through to count. */
function counts(report: WorldReport): boolean {
  return report.streams >= 3 && report.frames >= 200 && report.cuts >= 2;
}

/** Runs seeds from `first` on until `wanted` of them counted. @throws Error of the first seed that fails. */
export function runSeeds(first: number, wanted: number): SeedsReport {
  const sums = { counted: 0, run: 0, pressed: 0, frames: 0, cuts: 0, resumes: 0, replayed: 0, ended: 0 };
  let seed = first;
  while (sums.counted < wanted) {
    const report = new World(seed).run();
    seed += 1;
    sums.run += 1;
    if (!counts(report)) continue;
    sums.counted += 1;
    if (report.sawFullReplay && report.sawEmptyWindow) sums.pressed += 1;
    if (report.endedBy !== undefined) sums.ended += 1;
    sums.frames += report.frames;
    sums.cuts += report.cuts;
    sums.resumes += report.resumes;
    sums.replayed += report.replayed;
  }
  return { ...sums, lastSeed: seed - 1 };
}
