import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";

/** Sees to it that no process outlives the soak, not even if that is killed. */
export class Guard {
  readonly #process: ChildProcess;

  constructor() {
    this.#process = spawn(process.execPath, [join(import.meta.dirname, "guard-process.ts")], {
      stdio: ["pipe", "ignore", "inherit"],
      detached: true,
    });
    // Its end is told by nobody but us; writing to it then is no use and no harm.
    this.#process.stdin?.on("error", () => undefined);
    this.#process.unref();
  }

  /** From now on this process is to end with the soak. */
  watch(child: ChildProcess): void {
    this.#process.stdin?.write(`+${child.pid}\n`);
    child.once("exit", () => this.#process.stdin?.write(`-${child.pid}\n`));
  }

  /** Nothing is left to be watched, or it is to end now. */
  close(): void {
    this.#process.stdin?.end();
  }
}
