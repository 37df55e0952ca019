import type { Readable } from "node:stream";

export interface Line {
  readonly text: string;
  /** When it arrived here, by `performance.now()`. */
  readonly at: number;
}

type Match = string | RegExp | ((text: string) => boolean);

/** Old lines beyond this are forgotten. */
const MAX_LINES = 50_000;
const SHOWN_LINES = 20;

/** What a program wrote, line by line. */
export class Lines {
  #lines: Line[] = [];
  #forgotten = 0;
  #rest = "";
  #isOver = false;
  readonly #listeners = new Set<() => void>();

  constructor(source: Readable | null) {
    if (source === null) {
      this.#isOver = true;
      return;
    }
    source.setEncoding("utf8");
    source.on("data", (text: string) => this.#add(text));
    const end = (): void => {
      if (this.#rest !== "") this.#add("\n");
      this.#isOver = true;
      this.#tell();
    };
    source.on("error", end);
    source.on("close", end);
  }

  /** All of it, without a line break at the end. */
  get text(): string {
    return this.#lines.map(({ text }) => text).join("\n");
  }

  /** The last few, for messages. */
  get tail(): string {
    return this.#lines
      .slice(-SHOWN_LINES)
      .map(({ text }) => text)
      .join("\n");
  }

  /** How many there were so far: for waiting for a later one only. */
  get count(): number {
    return this.#forgotten + this.#lines.length;
  }

  /** Those that match, from the `from`-th on. */
  all(match: Match, from = 0): Line[] {
    return this.#lines.slice(Math.max(0, from - this.#forgotten)).filter(({ text }) => matches(match, text));
  }

  /**
   * The `nth` line (from 1) that matches, counted from the `from`-th on, present or to come.
   * @throws Error when none comes in time, or when the program has nothing more to say.
   */
  async waitFor(match: Match, { nth = 1, from = 0, withinMs = 15_000 } = {}): Promise<Line> {
    const { promise, resolve, reject } = Promise.withResolvers<Line>();
    const look = (): void => {
      const found = this.all(match, from)[nth - 1];
      if (found !== undefined) resolve(found);
      else if (this.#isOver)
        reject(new Error(`ended without the line ${String(match)}; it said:\n${this.tail}`));
    };
    const timer = setTimeout(() => {
      reject(new Error(`no line ${String(match)} within ${withinMs} ms; it said:\n${this.tail}`));
    }, withinMs);
    this.#listeners.add(look);
    try {
      look();
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#listeners.delete(look);
    }
  }

  #add(text: string): void {
    const at = performance.now();
    const parts = (this.#rest + text).split("\n");
    this.#rest = parts.pop() ?? "";
    for (const part of parts) this.#lines.push({ text: part, at });
    const surplus = this.#lines.length - MAX_LINES;
    if (surplus > 0) {
      this.#lines = this.#lines.slice(surplus);
      this.#forgotten += surplus;
    }
    if (parts.length > 0) this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function matches(match: Match, text: string): boolean {
  if (typeof match === "string") return text.includes(match);
  return match instanceof RegExp ? match.test(text) : match(text);
}
