import type { WriteStream } from "node:tty";
import { stripVTControlCharacters, styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** Where there is no terminal to redraw a line on, progress is told this seldom. */
const PLAIN_STATUS_MS = 3000;

const DEFAULT_COLUMNS = 80;

/** Lines that stay, and below them, on a terminal, one that changes. */
export class Screen {
  readonly #out: WriteStream;
  readonly #startedAt = performance.now();
  #status = "";
  #plainStatusAt = 0;

  constructor(out: WriteStream) {
    this.#out = out;
  }

  /** Colours only where they are wanted: a terminal, and no NO_COLOR. */
  style(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#out });
  }

  /** What it showed of the status was true before this: the next one is awaited. */
  line(text = ""): void {
    this.#clear();
    this.#status = "";
    this.#out.write(`${text}\n`);
  }

  /** A step of the story, with its time. */
  step(text: string): void {
    this.line(`${this.#time()}  ${text}`);
  }

  /** Shows how far it is; "" takes it away. */
  status(text: string): void {
    if (!this.#out.isTTY) {
      if (text === "" || performance.now() - this.#plainStatusAt < PLAIN_STATUS_MS) return;
      this.#plainStatusAt = performance.now();
      this.step(text);
      return;
    }
    this.#clear();
    const line = text === "" ? "" : `${this.#time()}  ${text}`;
    // A line that wraps could not be taken back. Some terminals say that they have 0 columns.
    const width = this.#out.columns || DEFAULT_COLUMNS;
    const plain = stripVTControlCharacters(line);
    this.#status = plain.length < width ? line : plain.slice(0, width - 1);
    this.#out.write(this.#status);
  }

  #time(): string {
    return this.style("dim", `${((performance.now() - this.#startedAt) / 1000).toFixed(1)} s`.padStart(7));
  }

  #clear(): void {
    if (this.#out.isTTY && this.#status !== "") this.#out.write("\r\x1b[2K");
  }
}
