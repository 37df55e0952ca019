import type { ChaosKind, ChaosStep, Direction, Range } from "@culvert/chaos";
import { Random } from "@culvert/chaos";
import type { Journal } from "./journal.ts";
import type { WorldSettings } from "./settings.ts";
import type { TunnelClient } from "./tunnel-client.ts";

/**
 * What happens to links, each kind as often as it stands here. No bits are turned over: a plain WebSocket cannot notice
 * it, so it would be no mistake of Culvert, and every byte could be wrong.
 */
const DECK = [
  ...["reset", "reset", "reset", "end", "end", "cut in a frame", "cut in a frame", "cut in a frame"],
  ...[
    "cut while it resumes",
    "cut again and again",
    "refused",
    "refused",
    "stall",
    "stall",
    "accepted and mute",
  ],
  ...["black hole", "black hole", "black hole, one way", "black hole, one way", "dead", "dead, one way"],
  ...["late", "late", "narrow", "in pieces", "in single bytes", "gathered", "gathered"],
] as const;
export type Fault = (typeof DECK)[number] | "out for longer than the grace";

/** Between steps of one fault there is no wait. */
const NOW = { gapMs: 0 } as const;

/** Draws faults for the link of one client from a seed, and brings them about one after the other. */
export class Weather {
  readonly #client: TunnelClient;
  readonly #settings: WorldSettings;
  readonly #journal: Journal;
  readonly #random: Random;
  #deck: Fault[] = [];
  #isFirstDeck = true;

  constructor(client: TunnelClient, settings: WorldSettings, journal: Journal, seed: number) {
    this.#client = client;
    this.#settings = settings;
    this.#journal = journal;
    this.#random = new Random(seed);
  }

  /** Until told to stop; resolves when the sky is clear again. */
  async blow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(this.#random.between(...this.#settings.gapMs), signal);
      const fault = this.#deal();
      const steps = this.#stepsOf(fault);
      if (signal.aborted) return;
      const end = this.#client.troubles.begin(fault);
      const from = performance.now();
      const text =
        fault === "accepted and mute" ? await this.#beMute(signal) : await this.#run(steps, signal);
      end();
      const took = ((performance.now() - from) / 1000).toFixed(1);
      this.#journal.trouble(fault, `on the link of client ${this.#client.name} (${text}, ${took} s)`);
    }
  }

  #deal(): Fault {
    if (this.#deck.length === 0) {
      const once: readonly Fault[] =
        this.#settings.beyondGraceMs === undefined ? [] : ["out for longer than the grace"];
      this.#deck = this.#random.shuffle([...DECK, ...once]);
      // The worst for memory comes first: what a process keeps from it belongs to its size, not to its growth.
      if (this.#isFirstDeck) this.#deck.push("dead");
      this.#isFirstDeck = false;
    }
    return this.#deck.pop()!;
  }

  async #run(steps: readonly ChaosStep[], signal: AbortSignal): Promise<string> {
    const { done, cuts } = await this.#client.proxy.run(steps, signal);
    return `${done} of ${steps.length} steps, ${cuts} cuts: ${JSON.stringify(steps.slice(0, 2))}`;
  }

  /** A server that takes connections and says nothing. */
  async #beMute(signal: AbortSignal): Promise<string> {
    const { proxy } = this.#client;
    proxy.acceptAndStall();
    proxy.cut({ how: "rst" });
    await pause(this.#random.between(...this.#settings.forMs), signal);
    proxy.acceptAndStall(false);
    return "then served";
  }

  #stepsOf(fault: Fault): ChaosStep[] {
    const random = this.#random;
    const { forMs: usual, deadMs, beyondGraceMs } = this.#settings;
    const draw = (range: Range): number => random.between(...range);
    const forMs = draw(usual);
    const way = random.pick<Direction>(["up", "down"]);
    const side = random.pick(["up", "down", "both"] as const);
    const shape = (
      kind: ChaosKind & ("delay" | "throttle" | "slice" | "coalesce"),
      how: object,
    ): ChaosStep[] => [{ kind, ...NOW, forMs, direction: side, shape: how }];
    const cutAfter = (bytes: number, waitMs: number): ChaosStep => ({
      kind: "cutAfter",
      ...NOW,
      forMs: waitMs,
      bytes,
      direction: random.pick<Direction>(["up", "down"]),
      how: random.pick(["fin", "rst"] as const),
    });
    switch (fault) {
      case "reset":
        return [{ kind: "rst", ...NOW }];
      case "end":
        return [{ kind: "fin", ...NOW }];
      case "cut in a frame":
        return [cutAfter(draw([1, 65_536]), 3_000)];
      case "cut while it resumes":
        // The bytes of the upgrade and of HELLO and WELCOME are a few hundred.
        return [{ kind: "rst", ...NOW }, ...times(3, () => cutAfter(draw([1, 900]), 2_000))];
      case "cut again and again":
        return times(random.between(4, 10), () => ({ kind: "rst", gapMs: draw([50, 400]) }) as const);
      case "refused":
        return [{ kind: "refuse", ...NOW, forMs }];
      case "out for longer than the grace":
        return [{ kind: "refuse", ...NOW, forMs: draw(beyondGraceMs ?? deadMs) }];
      case "stall":
        return [{ kind: "stall", ...NOW, forMs, direction: side }];
      case "black hole":
        return [{ kind: "blackhole", ...NOW, forMs, direction: "both" }];
      case "black hole, one way":
        return [{ kind: "blackhole", ...NOW, forMs, direction: way }];
      case "dead":
        return [{ kind: "blackhole", ...NOW, forMs: draw(deadMs), direction: "both" }];
      case "dead, one way":
        return [{ kind: "blackhole", ...NOW, forMs: draw(deadMs), direction: way }];
      case "late":
        return shape("delay", { delayMs: draw([5, 200]), jitterMs: draw([0, 100]) });
      case "narrow":
        return shape("throttle", { bytesPerSecond: draw([50_000, 2_000_000]) });
      case "in pieces":
        return shape("slice", { slice: { maxBytes: draw([2, 1_500]), minBytes: 1 } });
      case "in single bytes":
        return shape("slice", { slice: { maxBytes: 1 } });
      case "gathered":
        return shape("coalesce", { coalesceMs: draw([5, 100]) });
      default:
        return [];
    }
  }
}

/** Waits, for less if the signal says so; never rejects. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

function times<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}
