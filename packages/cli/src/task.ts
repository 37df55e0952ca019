import type { Readable } from "node:stream";

/** What a command that does one thing and ends may use. */
export interface TaskIo {
  /** What was asked for: one line, for people and for scripts. Made safe for a terminal. */
  readonly out: (line: string) => void;
  /** What goes beside it, for people only. */
  readonly note: (line: string) => void;
  /** Writes a prompt, without the end of a line. */
  readonly ask: (prompt: string) => void;
  readonly stdin: Readable & { readonly isTTY?: boolean };
}

/** Does its one thing, and resolves with the exit code. @throws UsageError */
export type Task = (io: TaskIo) => Promise<number> | number;
