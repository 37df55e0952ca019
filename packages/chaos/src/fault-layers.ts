import { checkKeys } from "./checked.ts";
import {
  type Direction,
  type DirectionFault,
  type Faults,
  type ResolvedFault,
  resolveFault,
} from "./fault.ts";

/** The faults of a proxy: what is set, over that what a plan's step does, over all a pause. */
export class FaultLayers {
  #set: Required<Faults> = { up: "pass", down: "pass" };
  #plan: Faults = {};
  readonly #resolved: Record<Direction, { of: DirectionFault; fault: ResolvedFault }> = {
    up: { of: "pass", fault: resolveFault("pass") },
    down: { of: "pass", fault: resolveFault("pass") },
  };
  /** Stalls both directions, whatever else is there. */
  isPaused = false;

  /** The faults in force. */
  get inForce(): Required<Faults> {
    return this.isPaused ? { up: "stall", down: "stall" } : { ...this.#set, ...this.#plan };
  }

  /** The same, filled in; the same objects again as long as they are in force. */
  get resolved(): Readonly<Record<Direction, ResolvedFault>> {
    return { up: this.#resolve("up"), down: this.#resolve("down") };
  }

  /**
   * Changes the lowest layer; a direction that is left out stays.
   * @throws TypeError or RangeError naming a bad option; nothing is changed then.
   */
  set(faults: Faults): void {
    checkKeys("set", faults, ["up", "down"]);
    const next = { up: faults.up ?? this.#set.up, down: faults.down ?? this.#set.down };
    resolveFault(next.up);
    resolveFault(next.down);
    this.#set = next;
  }

  /** Replaces the plan's layer. */
  impose(faults: Faults): void {
    this.#plan = faults;
  }

  #resolve(direction: Direction): ResolvedFault {
    const of = this.inForce[direction];
    if (this.#resolved[direction].of !== of) this.#resolved[direction] = { of, fault: resolveFault(of) };
    return this.#resolved[direction].fault;
  }
}
