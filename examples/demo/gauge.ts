import type { Actor } from "./actor.ts";
import type { Progress } from "./progress.ts";
import type { Screen } from "./screen.ts";
import { bytesText, MIB, msText } from "./units.ts";

const EVERY_MS = 200;
const BAR_WIDTH = 20;

/** Looks at the client again and again, draws the line with the bar, and keeps the round trips. */
export class Gauge {
  readonly rttsMs: number[] = [];
  readonly #client: Actor;
  readonly #progress: Progress;
  readonly #screen: Screen;
  readonly #timer: NodeJS.Timeout;
  #isAsking = false;

  constructor(client: Actor, progress: Progress, screen: Screen) {
    this.#client = client;
    this.#progress = progress;
    this.#screen = screen;
    this.#timer = setInterval(() => this.#look().catch(() => this.stop()), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#screen.status("");
  }

  async #look(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const { link } = await this.#client.stats();
    this.#isAsking = false;
    if (link.rttMs !== undefined) this.rttsMs.push(link.rttMs);
    const { part, bytes, totalBytes, bytesPerSecond } = this.#progress;
    if (part >= 1) return;
    const full = Math.round(part * BAR_WIDTH);
    const columns = [
      `${"█".repeat(full)}${"░".repeat(BAR_WIDTH - full)}`,
      `${Math.floor(bytes / MIB)} of ${bytesText(totalBytes)}`,
      `${bytesText(bytesPerSecond)}/s`,
      link.state === "attached" ? `round trip ${msText(link.rttMs ?? 0)}` : "no WebSocket",
    ];
    this.#screen.status(columns.join("   "));
  }
}
