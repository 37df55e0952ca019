import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { soon } from "./deadline.ts";

/** What a forked process is asked, and what it answers. */
export interface Question {
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
}
export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string };

/** A process of its own that runs one of the `*-process.ts` files here, from the sources, and answers questions. */
export class Forked implements AsyncDisposable {
  readonly #child: ChildProcess;
  /** Resolves with its exit code or signal. */
  readonly #gone: Promise<string>;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #asked = 0;
  #stderr = "";

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#gone = once(child, "exit").then(([code, signal]) => String(code ?? signal));
    child.on("message", (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    child.stderr?.on("data", (text: Buffer) => {
      this.#stderr += text.toString();
    });
  }

  /** @param file Its name in this folder. @param options Handed over as JSON. */
  static start(file: string, options: object): Forked {
    const path = fileURLToPath(new URL(file, import.meta.url));
    const child = fork(path, [JSON.stringify(options)], {
      execArgv: ["--conditions=culvert-source", "--expose-gc"],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    return new Forked(child);
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** Calls what the process offers under that name. @throws Error with what went wrong there. */
  async ask<T>(method: string, argument?: unknown, patienceMs = 30_000): Promise<T> {
    this.#asked += 1;
    const question: Question = { id: this.#asked, method, argument };
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(question.id, resolve));
    this.#child.send(question);
    const gone = this.#gone.then((how) => {
      throw new Error(`the process ended (${how}): ${this.#stderr}`);
    });
    gone.catch(() => undefined);
    const answer = await soon(Promise.race([answered, gone]), `an answer to ${method}`, patienceMs);
    if ("error" in answer) throw new Error(`${method}: ${answer.error}`);
    return answer.value as T;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await soon(this.#gone, "the process is gone");
  }

  /** Lets go of it, and waits until it has ended by itself: nothing keeps it alive any more. The exit code or signal. */
  async endsByItself(patienceMs?: number): Promise<string> {
    if (this.#child.connected) this.#child.disconnect();
    return soon(this.#gone, `the process ends by itself (${this.#stderr})`, patienceMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
