import type { ResolvedFault } from "./fault.ts";
import type { Random } from "./random.ts";

/** When what arrives may leave, under one fault. Times are ms of the monotonic clock. */
export class Schedule {
  readonly #delayMs: number;
  readonly #jitterMs: number;
  readonly #coalesceMs: number;
  readonly #random: Random;
  /** What comes before this joins the batch that leaves then. */
  #batchDue = 0;

  constructor(fault: ResolvedFault, random: Random) {
    this.#delayMs = fault.kind === "shape" ? fault.delayMs : 0;
    this.#jitterMs = fault.kind === "shape" ? fault.jitterMs : 0;
    this.#coalesceMs = fault.kind === "shape" ? fault.coalesceMs : 0;
    this.#random = random;
  }

  /** When what arrives `now` is due; each call draws the jitter anew. */
  due(now: number): number {
    const jitter = this.#jitterMs === 0 ? 0 : (this.#random.fraction() * 2 - 1) * this.#jitterMs;
    if (this.#batchDue <= now) this.#batchDue = now + this.#coalesceMs;
    return this.#batchDue + Math.max(0, this.#delayMs + jitter);
  }

  /** What arrives `now` is due no later than this. */
  latest(now: number): number {
    return now + this.#delayMs + this.#jitterMs + this.#coalesceMs;
  }
}
