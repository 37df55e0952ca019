import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import process from "node:process";
import type { Writable } from "node:stream";
import { onTestFailed } from "vitest";
import { soon } from "../../support/deadline.ts";
import { Lines } from "./lines.ts";

export interface ProgramOptions {
  readonly args?: readonly string[];
  /** Added to the environment of the tests, of which programs never see a variable of ours. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Default: nothing on stdin, stdout and stderr as lines. */
  readonly stdio?: StdioOptions;
  /** Takes what is written to stdout, which is then not kept as lines. */
  readonly onStdout?: (piece: Buffer) => void;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** By `performance.now()`. */
  readonly at: number;
}

/** Those that run. Whatever happens to the tests, no process outlives them. */
const running = new Set<Program>();
process.on("exit", () => {
  for (const program of running) program.kill("SIGKILL");
});

/** A process of another program, started by a test. Leaving its scope (`await using`) kills it. */
export class Program implements AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  readonly stdout: Lines;
  readonly stderr: Lines;
  readonly stdin: Writable | null;
  /** Resolves when it is over and all that it wrote has arrived. */
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;

  protected constructor(name: string, child: ChildProcess, onStdout?: ProgramOptions["onStdout"]) {
    this.name = name;
    this.pid = child.pid!;
    this.#child = child;
    this.stdin = child.stdin;
    if (onStdout !== undefined) child.stdout?.on("data", onStdout);
    this.stdout = new Lines(onStdout === undefined ? child.stdout : null);
    this.stderr = new Lines(child.stderr);
    running.add(this);
    const { promise, resolve } = Promise.withResolvers<Exit>();
    this.exited = promise;
    child.on("close", (code, signal) => {
      running.delete(this);
      resolve({ code, signal, at: performance.now() });
    });
    onTestFailed(() => this.#show());
  }

  /** @throws the system's error when it cannot be started. */
  static async start(command: string, options: ProgramOptions = {}): Promise<Program> {
    return new Program(command, await launch(command, options), options.onStdout);
  }

  get isRunning(): boolean {
    return running.has(this);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals, withinMs = 15_000): Promise<Exit> {
    this.kill(signal);
    return await this.exit(withinMs);
  }

  /** @throws Error when it goes on longer. */
  async exit(withinMs = 15_000): Promise<Exit> {
    return await soon(this.exited, `${this.name} (${this.pid}) ends`, withinMs);
  }

  /** Nobody reads what it writes from now on: a write of it fails with EPIPE. */
  closePipes(): void {
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
  }

  /** What it writes stays in its pipes until they are full; read on when it is over. */
  stopReading(): void {
    const streams = [this.#child.stdout, this.#child.stderr];
    for (const stream of streams) stream?.pause();
    this.#child.once("exit", () => {
      for (const stream of streams) stream?.resume();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }

  #show(): void {
    console.error(`--- last lines of ${this.name} (${this.pid})\n${this.stderr.tail}`);
  }
}

/** What a program that ran to its end has to tell. */
export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. @throws Error when that takes longer. */
export async function run(
  command: string,
  args: readonly string[],
  { withinMs = 60_000, ...options }: Omit<ProgramOptions, "args"> & { readonly withinMs?: number } = {},
): Promise<Outcome> {
  await using program = await Program.start(command, { ...options, args });
  const { code } = await program.exit(withinMs);
  return { code, stdout: program.stdout.text, stderr: program.stderr.text };
}

/** @internal For what derives from Program. */
export async function launch(command: string, options: ProgramOptions): Promise<ChildProcess> {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("CULVERT_")),
  );
  const child = spawn(command, options.args ?? [], {
    cwd: options.cwd,
    env: { ...env, ...options.env },
    stdio: options.stdio ?? ["ignore", "pipe", "pipe"],
  });
  await new Promise((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
  return child;
}
