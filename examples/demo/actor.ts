import { type ChildProcess, fork } from "node:child_process";
import { EventEmitter, once } from "node:events";
import type { Message, MessageOf, Script } from "./messages.ts";

/** After this long without an answer to "close" a process is killed. */
const CLOSE_MS = 8000;

/** A process of the demo, seen from the one that conducts. It ends with the conductor, however that ends. */
export class Actor {
  readonly #name: string;
  readonly #process: ChildProcess;
  readonly #messages = new EventEmitter().setMaxListeners(50);
  #isClosing = false;
  /** Rejects if the process ends before it was asked to. */
  readonly failed: Promise<never>;

  constructor(name: string, program: URL, script: Script) {
    this.#name = name;
    this.#process = fork(program, {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    // By message and not by argument: every user of the machine can read the arguments of a process.
    this.#process.send(script);
    this.#process.on("message", (message: Message) => this.#messages.emit(message.type, message));
    this.failed = once(this.#process, "exit").then(([code, signal]) => {
      if (this.#isClosing) return new Promise<never>(() => undefined);
      throw new Error(`the process of the ${this.#name} ended by itself (${signal ?? `exit code ${code}`})`);
    });
    this.failed.catch(() => undefined); // whoever waits for something hears of it there
  }

  /** The next message of this type. */
  async next<T extends Message["type"]>(type: T): Promise<MessageOf<T>> {
    const [message] = await Promise.race([once(this.#messages, type), this.failed]);
    return message as MessageOf<T>;
  }

  on<T extends Message["type"]>(type: T, listener: (message: MessageOf<T>) => void): void {
    this.#messages.on(type, listener);
  }

  stats(): Promise<MessageOf<"stats">> {
    const answer = this.next("stats");
    this.#process.send("stats");
    return answer;
  }

  /** Ends the process. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosing || this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#isClosing = true;
    const exit = once(this.#process, "exit");
    const kill = setTimeout(() => this.#process.kill("SIGKILL"), CLOSE_MS);
    this.#process.send("close");
    await exit;
    clearTimeout(kill);
  }
}
