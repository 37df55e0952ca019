import { once } from "node:events";
import { type ChaosProxy, type Direction, Random } from "@culvert/chaos";

const KINDS = ["rst", "fin", "in a frame", "black hole"] as const;
type Kind = (typeof KINDS)[number];

interface PlannedCut {
  readonly kind: Kind;
  /** How much of the transfer is done then, from 0 to 1. */
  readonly progress: number;
  readonly direction: Direction | "both";
  /** "in a frame": after so many more bytes. */
  readonly bytes: number;
}

const COUNT = 24;
const POLL_MS = 5;
/** A full DATA frame has 16 KiB: most of the time a cut within some frames is one in the middle of a frame. */
const MAX_MORE_BYTES = 65_536;

/**
 * Cuts the WebSocket 24 times while a transfer goes on: at random moments of its progress, not of time, so that all of
 * them come about on a fast machine and on a slow one. A quarter each are resets, ends, resets in the middle of a frame,
 * and black holes, which nobody notices but by silence. `using` ends it.
 */
export class CutByProgress implements Disposable {
  /** Those that happened, in order. */
  readonly done: PlannedCut[] = [];
  readonly #proxy: ChaosProxy;
  readonly #plan: PlannedCut[];
  readonly #progress: () => number;
  readonly #timer: NodeJS.Timeout;
  #isBusy = false;

  constructor(proxy: ChaosProxy, seed: number, progress: () => number) {
    this.#proxy = proxy;
    this.#plan = drawPlan(new Random(seed));
    this.#progress = progress;
    this.#timer = setInterval(() => void this.#look(), POLL_MS);
  }

  get text(): string {
    const counts = KINDS.map((kind) => `${this.done.filter((cut) => cut.kind === kind).length} ${kind}`);
    return `${this.done.length} of ${COUNT} cuts (${counts.join(", ")})`;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const next = this.#plan[0];
    if (this.#isBusy || next === undefined || this.#progress() < next.progress) return;
    const live = this.#proxy.connections.filter(({ state }) => state === "open");
    if (live.length === 0) return;
    this.#plan.shift();
    this.#isBusy = true;
    await this.#carryOut(next);
    this.done.push(next);
    this.#isBusy = false;
  }

  async #carryOut({ kind, direction, bytes }: PlannedCut): Promise<void> {
    const proxy = this.#proxy;
    switch (kind) {
      case "rst":
      case "fin":
        proxy.cut({ how: kind });
        return;
      case "in a frame": {
        const cut = once(proxy, "cut");
        proxy.cutAfter({ which: "live", bytes, direction: direction === "up" ? "up" : "down", how: "rst" });
        await cut;
        return;
      }
      case "black hole": {
        const redialed = once(proxy, "connection");
        if (direction === "both") proxy.set({ up: "blackhole", down: "blackhole" });
        else proxy.set({ [direction]: "blackhole" });
        // Until one of them finds out and dials again. The new connection is not to end in the same hole.
        await redialed;
        proxy.set({ up: "pass", down: "pass" });
        return;
      }
      default:
        throw new TypeError(`no such kind of cut: ${String(kind)}`);
    }
  }
}

function drawPlan(random: Random): PlannedCut[] {
  const kinds = random.shuffle(Array.from({ length: COUNT }, (_, n) => KINDS[n % KINDS.length]!));
  const moments = kinds.map(() => 0.01 + random.fraction() * 0.94).sort((a, b) => a - b);
  return kinds.map((kind, n) => ({
    kind,
    progress: moments[n]!,
    direction: random.pick(["up", "down", "both"] as const),
    bytes: random.between(1, MAX_MORE_BYTES),
  }));
}
