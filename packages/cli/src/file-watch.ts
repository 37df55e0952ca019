import { stat } from "node:fs/promises";
import { codeOf } from "./input-file.ts";

/** Small beside the time that anybody takes to change a file, and a stat costs next to nothing. */
const INTERVAL_MS = 1000;

/**
 * Tells when files have changed, by looking at them once a second. What the system could tell of by itself it does not tell
 * on every file system, nor when a link on the way is turned to another folder, which is how container platforms replace
 * files.
 */
export class FileWatch {
  readonly #paths: readonly string[];
  readonly #onChange: () => void;
  readonly #timer: NodeJS.Timeout;
  #isLooking = false;
  /** What the files were like when `onChange` was last called, and at the last look. */
  #known: string | undefined;
  #seen: string | undefined;

  /**
   * @param onChange Called after two looks that saw the same change: who writes a file slowly, or two one after the other, is
   *   waited for. Also called at the beginning, since nobody knows what happened to the files between their reading and the
   *   first look.
   */
  constructor(paths: readonly string[], onChange: () => void, intervalMs: number = INTERVAL_MS) {
    this.#paths = paths;
    this.#onChange = onChange;
    this.#timer = setInterval(() => void this.look(), intervalMs);
    this.#timer.unref();
  }

  /** One look. Never rejects; a file system that hangs is asked once and not every second. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const before = this.#seen;
    this.#seen = (await Promise.all(this.#paths.map(stampOf))).join(" ");
    this.#isLooking = false;
    if (this.#seen === this.#known || this.#seen !== before) return;
    this.#known = this.#seen;
    this.#onChange();
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** Differs when the file was changed, replaced, made readable, or is gone. Reading it changes nothing of this. */
async function stampOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(":");
  } catch (error) {
    return codeOf(error);
  }
}
