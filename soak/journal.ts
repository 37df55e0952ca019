import { EventEmitter } from "node:events";
import type { CulvertProcess } from "./culvert-process.ts";
import { MAX_CONTEXT_LINES } from "./settings.ts";

/** Something that must not happen. */
export interface Failure {
  readonly at: number;
  readonly text: string;
  readonly context: string;
}

interface JournalEvents {
  failure: [failure: Failure];
}

/** What went wrong, and what was done to the tunnels, as the run goes on. */
export class Journal extends EventEmitter<JournalEvents> {
  readonly failures: Failure[] = [];
  /** How often each trouble was made. */
  readonly troubles = new Map<string, number>();
  readonly #startedAt = performance.now();
  readonly #recent: string[] = [];

  fail(text: string, context = ""): void {
    const failure = { at: performance.now() - this.#startedAt, text, context };
    this.failures.push(failure);
    this.emit("failure", failure);
  }

  /** Counts a trouble and remembers it for the context of failures. @param detail Not counted apart. */
  trouble(kind: string, detail: string): void {
    this.troubles.set(kind, (this.troubles.get(kind) ?? 0) + 1);
    this.note(`${kind} ${detail}`);
  }

  note(text: string): void {
    const at = ((performance.now() - this.#startedAt) / 1000).toFixed(1);
    this.#recent.push(`${at} s  ${text}`);
    if (this.#recent.length > 200) this.#recent.shift();
  }

  /** The last notes that are about `name`, or about everybody. */
  recent(...names: readonly string[]): string {
    const about = this.#recent.filter((line) => names.some((name) => line.includes(name)));
    return about.slice(-MAX_CONTEXT_LINES).join("\n");
  }

  /** From now on it must neither end by itself nor log an error. */
  watch(culvert: CulvertProcess): void {
    culvert.onLine((line) => {
      if (line.level === "error" || line.level === "fatal") {
        this.fail(`${culvert.name} logs an error: ${line.msg}`, JSON.stringify(line));
      }
    });
    void culvert.exited.then((how) => {
      if (culvert.killedAt !== undefined || culvert.stoppedAt !== undefined) return;
      this.fail(`${culvert.name} ended by itself (${how})`, culvert.tail);
    });
  }
}
