import type { WriteStream } from "node:tty";
import { stripVTControlCharacters, styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** Where there is no terminal to redraw a line on, progress is told this seldom. */
const PLAIN_STATUS_MS = 3000;

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

  line(text = ""): void {
    this.#clear();
    this.#out.write(`${text}\n`);
    if (this.#out.isTTY) this.#out.write(this.#status);
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
    // A line that wraps could not be taken back.
    const fits = stripVTControlCharacters(line).length < this.#out.columns;
    this.#status = fits ? line : stripVTControlCharacters(line).slice(0, this.#out.columns - 1);
    this.#out.write(this.#status);
  }

  #time(): string {
    return this.style("dim", `${((performance.now() - this.#startedAt) / 1000).toFixed(1)} s`.padStart(7));
  }

  #clear(): void {
    if (this.#out.isTTY && this.#status !== "") this.#out.write("\r\x1b[2K");
  }
}
