import { close, open } from "node:fs";
import { devNull } from "node:os";
import type { Logger } from "@culvert/peer";

/** Tries to take one descriptor, and gives it back. Resolves with the code of the system's error, if that failed. */
export type DescriptorProbe = () => Promise<string | undefined>;

const LOOK_MS = 1000;
/** The process has none left; the machine has none left. */
const EXHAUSTED: ReadonlySet<string | undefined> = new Set(["EMFILE", "ENFILE"]);

/**
 * Says when the process runs out of descriptors, and when that is over. Nobody else does: libuv accepts whoever connects
 * then by a spare descriptor and closes it at once, without a word to anyone.
 */
export class DescriptorWatch {
  readonly #log: Logger;
  readonly #probe: DescriptorProbe;
  readonly #timer: NodeJS.Timeout;
  #isExhausted = false;

  constructor(log: Logger, probe: DescriptorProbe = takeOne, lookMs: number = LOOK_MS) {
    this.#log = log;
    this.#probe = probe;
    this.#timer = setInterval(() => void this.#look(), lookMs);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const code = await this.#probe();
    const isExhausted = EXHAUSTED.has(code);
    if (isExhausted === this.#isExhausted) return;
    this.#isExhausted = isExhausted;
    if (isExhausted) this.#log.warn({ code }, "no descriptor is free, who connects is closed at once");
    else this.#log.info({}, "descriptors are free again");
  }
}

function takeOne(): Promise<string | undefined> {
  return new Promise((resolve) => {
    open(devNull, (error, descriptor) => {
      if (error === null) close(descriptor, () => resolve(undefined));
      else resolve(error.code);
    });
  });
}
