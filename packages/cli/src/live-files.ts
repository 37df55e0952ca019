import type { Logger } from "@culvert/peer";
import { failureSentence } from "./failure.ts";
import { FileWatch } from "./file-watch.ts";

/** Something that files hold, and that may change while the command runs. */
export interface LivePart {
  /** What it is, for the log. */
  readonly what: string;
  readonly files: readonly string[];
  /** The fingerprint of what was read at the start. */
  readonly inForce: string;
  /** Reads and checks all of it. @throws when anything is wrong. */
  readonly read: () => Reading;
}

/** What was read and found right. */
interface Reading {
  /** Equal for equal content; shows nothing of it. */
  readonly fingerprint: string;
  /** From now on it holds, all of it at once. @throws when it cannot; then nothing has changed. */
  readonly apply: () => void;
}

interface Watched {
  readonly part: LivePart;
  readonly watch: FileWatch;
  inForce: string;
  isBroken: boolean;
}

/**
 * Reads files again when they change, and when somebody says so. A file that is wrong changes nothing: what was read before
 * goes on to hold, the log says what is wrong, and the next one that is right counts.
 */
export class LiveFiles {
  readonly #log: Logger;
  readonly #watched: readonly Watched[];

  /** @param intervalMs Time between two looks. Default: a second. */
  constructor(parts: readonly LivePart[], log: Logger, intervalMs?: number) {
    this.#log = log;
    this.#watched = parts.map((part): Watched => {
      const watch = new FileWatch(part.files, () => this.#read(watched, false), intervalMs);
      const watched: Watched = { part, watch, inForce: part.inForce, isBroken: false };
      return watched;
    });
  }

  /** Reads all of them again now, changed or not. */
  readAgain(): void {
    if (this.#watched.length === 0) this.#log.info({}, "SIGHUP: nothing to read again, going on");
    for (const watched of this.#watched) this.#read(watched, true);
  }

  /** One look at all of them now; what has changed is read at the second look that sees it so. */
  async look(): Promise<void> {
    await Promise.all(this.#watched.map(({ watch }) => watch.look()));
  }

  close(): void {
    for (const { watch } of this.#watched) watch.close();
  }

  #read(watched: Watched, isAsked: boolean): void {
    const { what, files } = watched.part;
    try {
      const { fingerprint, apply } = watched.part.read();
      const isNews = fingerprint !== watched.inForce;
      if (isNews || isAsked) apply();
      watched.inForce = fingerprint;
      if (isNews || isAsked || watched.isBroken) this.#log.info({ what, files }, "read again, and in force");
      watched.isBroken = false;
    } catch (error) {
      watched.isBroken = true;
      this.#log.error(
        { what, files, reason: failureSentence(error) },
        "not read again: what was read before still holds",
      );
    }
  }
}
