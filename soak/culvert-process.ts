import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { Guard } from "./guard.ts";

const COMMAND = join(import.meta.dirname, "..", "node_modules", ".bin", "culvert");

/** The last lines of its log are kept for the report of a failure. */
const KEPT_LINES = 30;

/** A line that it wrote, ready line or log, both in their JSON form. */
export type Line = Readonly<Record<string, unknown>>;

export interface ProcessFigures {
  readonly rssBytes: number;
  readonly peakRssBytes: number;
  readonly descriptors: number;
}

/** One life of the built command: from its start to its exit. */
export class CulvertProcess {
  readonly name: string;
  readonly pid: number;
  readonly startedAt: number = performance.now();
  /** Resolves with its exit code or signal. */
  readonly exited: Promise<number | string>;
  /** When it was killed, or told to stop, by us (`performance.now()`). */
  killedAt: number | undefined;
  stoppedAt: number | undefined;
  /** How we ended it in the middle of the soak, if we did. */
  endedEarly: "killed" | "stopped" | undefined;
  isRunning = true;
  isFrozen = false;
  readonly #child: ChildProcess;
  readonly #tail: string[] = [];
  readonly #listeners = new Set<(line: Line) => void>();

  constructor(name: string, args: readonly string[], guard: Guard) {
    this.name = name;
    // A group of its own: it ends by our hand and not by a Ctrl-C that was meant for the soak.
    this.#child = spawn(COMMAND, [...args, "--json", "--log-format", "json"], {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    if (this.#child.pid === undefined) throw new Error(`${COMMAND} cannot be started: is it built?`);
    this.pid = this.#child.pid;
    guard.watch(this.#child);
    this.exited = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => {
        this.isRunning = false;
        resolve(signal ?? code ?? "unknown");
      });
    });
    this.#read(this.#child.stdout);
    this.#read(this.#child.stderr);
  }

  /** Told of each line. */
  onLine(listener: (line: Line) => void): void {
    this.#listeners.add(listener);
  }

  /** The next line that `isIt` says yes to. @throws Error when the process ends before. */
  async line(isIt: (line: Line) => boolean): Promise<Line> {
    let listener: (line: Line) => void = () => undefined;
    const found = new Promise<Line>((resolve) => {
      listener = (line) => {
        if (isIt(line)) resolve(line);
      };
      this.#listeners.add(listener);
    });
    const ended = this.exited.then((how) => {
      throw new Error(`${this.name} ended (${how}) before it was ready:\n${this.tail}`);
    });
    ended.catch(() => undefined);
    try {
      return await Promise.race([found, ended]);
    } finally {
      this.#listeners.delete(listener);
    }
  }

  get tail(): string {
    return this.#tail.join("\n");
  }

  /** As the kernel tells; undefined when it is gone. */
  get figures(): ProcessFigures | undefined {
    try {
      const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
      const field = (name: string): number =>
        Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? 0) * 1024;
      if (field("VmRSS") === 0) return undefined;
      const descriptors = readdirSync(`/proc/${this.pid}/fd`).length;
      return { rssBytes: field("VmRSS"), peakRssBytes: field("VmHWM"), descriptors };
    } catch {
      return undefined;
    }
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    this.killedAt ??= performance.now();
    this.#child.kill("SIGKILL");
    await this.exited;
  }

  /** Asks it to stop, and returns how it ended. */
  async stop(): Promise<number | string> {
    this.stoppedAt ??= performance.now();
    this.thaw();
    this.#child.kill("SIGTERM");
    return await this.exited;
  }

  /** As a machine that sleeps: it is there, and does nothing. */
  freeze(): void {
    this.isFrozen = this.#child.kill("SIGSTOP");
  }

  thaw(): void {
    if (!this.isFrozen) return;
    this.#child.kill("SIGCONT");
    this.isFrozen = false;
  }

  /** Makes it log its state. */
  report(): void {
    this.#child.kill("SIGUSR2");
  }

  #read(source: Readable | null): void {
    if (source === null) return;
    createInterface({ input: source }).on("line", (text) => {
      this.#tail.push(text);
      if (this.#tail.length > KEPT_LINES) this.#tail.shift();
      for (const listener of this.#listeners) listener(parsed(text));
    });
  }
}

/** What is no JSON is no line of Culvert, but of Node: a crash, for one. */
function parsed(text: string): Line {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return { level: "error", msg: text };
  }
}
