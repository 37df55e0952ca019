import { readdirSync, readFileSync } from "node:fs";

/** What the kernel tells of a process. */
export interface ProcessFigures {
  readonly rssBytes: number;
  /** The most that it ever was; kept by the kernel, so nothing between two looks is missed. */
  readonly peakRssBytes: number;
  readonly descriptors: number;
  /** Of user and system, since the start. */
  readonly cpuMs: number;
}

const CLOCK_TICKS_PER_S = 100;

/** @throws the system's error when there is no such process. */
export function figuresOf(pid: number): ProcessFigures {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;
  // The second field is the name, in brackets, and may have spaces in it.
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return {
    rssBytes: field("VmRSS"),
    peakRssBytes: field("VmHWM"),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    cpuMs: ((Number(stat[11]) + Number(stat[12])) / CLOCK_TICKS_PER_S) * 1000,
  };
}

const SAMPLE_MS = 100;

/** Watches the memory of processes. `using` ends it. */
export class MemoryWatch implements Disposable {
  readonly #peaks = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  readonly #programs: readonly { readonly name: string; readonly pid: number }[];
  samples = 0;

  constructor(...programs: readonly { readonly name: string; readonly pid: number }[]) {
    this.#programs = programs;
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
  }

  /** The most that any of them had: sampled, or remembered by the kernel since its start. */
  get peakBytes(): number {
    this.#sample();
    return Math.max(...this.#peaks.values());
  }

  /** For the log of the run. */
  get text(): string {
    this.#sample();
    return [...this.#peaks].map(([name, bytes]) => `${name} ${mib(bytes)}`).join(", ");
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    this.samples++;
    for (const { name, pid } of this.#programs) {
      const { rssBytes, peakRssBytes } = figuresOf(pid);
      this.#peaks.set(name, Math.max(this.#peaks.get(name) ?? 0, rssBytes, peakRssBytes));
    }
  }
}

export const MIB: number = 2 ** 20;

export function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
