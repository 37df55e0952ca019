import { checkInteger, checkKeys, checkOneOf } from "./checked.ts";
import type { CutHow, Direction } from "./fault.ts";

/** What ChaosProxy.cut does. */
export interface CutOptions {
  readonly how: CutHow;
  /** One connection by its id, or "all" that are live. Default: "all". */
  readonly which?: "all" | number;
}

/** What ChaosProxy.cutAfter does. */
export interface CutAfterOptions {
  /** How many bytes are still forwarded. 0: none, the connection is cut as soon as the target has answered. */
  readonly bytes: number;
  readonly direction: Direction;
  readonly how: CutHow;
  /**
   * "next" (default): the next new connection, counted from its first byte; several such calls wait in line, one
   * connection each. "each": every new connection from now on. "live": all that are live, counted from now. A number:
   * the live connection of this id, counted from now.
   */
  readonly which?: "next" | "each" | "live" | number;
}

/** @throws TypeError or RangeError naming the option. */
export function checkCut(options: CutOptions): void {
  checkKeys("cut", options, ["how", "which"]);
  checkOneOf("how", options.how, ["fin", "rst"]);
  if (typeof options.which !== "number") checkOneOf("which", options.which ?? "all", ["all"]);
}

/** @throws TypeError or RangeError naming the option. */
export function checkCutAfter(options: CutAfterOptions): void {
  checkKeys("cutAfter", options, ["bytes", "direction", "how", "which"]);
  checkInteger("bytes", options.bytes, 0);
  checkOneOf("direction", options.direction, ["up", "down"]);
  checkOneOf("how", options.how, ["fin", "rst"]);
  if (typeof options.which !== "number")
    checkOneOf("which", options.which ?? "next", ["next", "each", "live"]);
}

/** The cuts that wait for new connections. */
export class CutRules {
  #each: CutAfterOptions | undefined;
  #next: CutAfterOptions[] = [];

  add(rule: CutAfterOptions): void {
    if (rule.which === "each") this.#each = rule;
    else this.#next.push(rule);
  }

  /** The rule for a connection that just came: the first of those for one connection, else the one for each. */
  take(): CutAfterOptions | undefined {
    return this.#next.shift() ?? this.#each;
  }

  clear(): void {
    this.#each = undefined;
    this.#next = [];
  }
}
