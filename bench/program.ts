import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { familyOf, processTable } from "./process-tree.ts";

/** Of what a program wrote, this much is kept to say why it failed. */
const KEPT_CHARACTERS = 4_000;
/** From SIGTERM to SIGKILL. */
const PATIENCE_MS = 2_000;

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Whether messages of Node's IPC channel pass: for programs of this folder only. */
  readonly ipc?: boolean;
  /** Whether what it forks leaves its process group, and has to be looked for to be ended. */
  readonly forksIntoGroups?: boolean;
}

/**
 * A program with all that it forks. It leads a process group of its own: the group is what is measured and what is
 * ended, and a Ctrl-C that was meant for the benchmark does not reach it.
 */
export class Program {
  static readonly #running = new Set<Program>();
  readonly name: string;
  readonly child: ChildProcess;
  readonly #forksIntoGroups: boolean;
  /** Resolves with the exit code or signal when the program itself has ended. */
  readonly ended: Promise<string>;
  #output = "";
  #hasEnded = false;
  #how = "";

  constructor(command: string, args: readonly string[], options: ProgramOptions = {}) {
    this.name = command.slice(command.lastIndexOf("/") + 1);
    this.#forksIntoGroups = options.forksIntoGroups === true;
    this.child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe", ...(options.ipc === true ? (["ipc"] as const) : [])],
      detached: true,
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    Program.#running.add(this);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-KEPT_CHARACTERS);
      });
    }
    this.ended = new Promise((resolve) => {
      const over = (how: string): void => {
        this.#hasEnded = true;
        this.#how = how;
        resolve(how);
      };
      this.child.once("error", (error) => over(error.message));
      this.child.once("exit", (code, signal) => over(signal ?? `exit code ${code}`));
    });
  }

  /** Ends all that are still running, at once: for a signal or a failure, when nobody can wait. */
  static killAll(): void {
    const groups = [...Program.#running].map(({ group }) => group);
    for (const { pid } of familyOf(groups, processTable())) kill(pid);
  }

  /** Id of the process group; 0 if it could not be started. */
  get group(): number {
    return this.child.pid ?? 0;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** What it wrote last, on both outputs. */
  get output(): string {
    return this.#output.trim();
  }

  /** @throws Error with its last words if it is not running any more. */
  check(): void {
    if (this.#hasEnded) throw new Error(this.lastWords);
  }

  /** What it wrote last, and how it ended if it did; empty of one that runs and is silent. */
  get lastWords(): string {
    const line = this.output.split("\n").at(-1)?.slice(0, 200) ?? "";
    if (this.#hasEnded) return `${this.name} has ended (${this.#how})${line === "" ? "" : `: ${line}`}`;
    return line === "" ? "" : `${this.name}: ${line}`;
  }

  /** Ends it and what it forked; resolves when the program is gone. May be called again. */
  async stop(): Promise<void> {
    const forked = this.#forksIntoGroups ? familyOf([this.group], processTable()) : [];
    if (!this.#hasEnded) {
      this.#signal("SIGTERM");
      const timer = setTimeout(() => this.#signal("SIGKILL"), PATIENCE_MS);
      await this.ended;
      clearTimeout(timer);
    }
    this.#signal("SIGKILL"); // what it left behind in its group
    for (const { pid } of forked) kill(pid);
    Program.#running.delete(this);
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.group > 0) kill(-this.group, signal);
  }
}

/** A process, or with a minus a group; one that is gone is no error. */
function kill(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

/** Where a command is on the PATH (and where Debian keeps daemons), or undefined. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  for (const folder of folders) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return undefined;
}
