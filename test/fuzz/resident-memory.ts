import { readFileSync } from "node:fs";

/** How much a process may grow while it is fuzzed: what it keeps for a grace, and what its collector has not come to. */
const MOST_GROWTH_MIB = 160;

/** Memory of another process, from the first look on. */
export class ResidentMemory {
  readonly #pid: number;
  #first: number | undefined;

  constructor(pid: number) {
    this.#pid = pid;
  }

  /** @throws Error when it has grown too much. Where the system does not tell, nothing is checked. */
  check(): void {
    const now = residentMib(this.#pid);
    if (now === undefined) return;
    this.#first ??= now;
    if (now - this.#first > MOST_GROWTH_MIB) {
      throw new Error(`process ${this.#pid} has grown from ${this.#first} to ${now} MiB`);
    }
  }
}

function residentMib(pid: number): number | undefined {
  try {
    const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return line === null ? undefined : Math.round(Number(line[1]) / 1024);
  } catch {
    return undefined;
  }
}
