import { Random } from "@culvert/chaos";
import { Conversation } from "./conversation.ts";
import type { Journal } from "./journal.ts";
import type { Ledger } from "./ledger.ts";
import { drawPlay, type ShapeName } from "./shapes.ts";
import type { Tape } from "./tape.ts";
import type { Stranger } from "./targets.ts";
import { type Carrier, MODES, type Mode, type TunnelClient } from "./tunnel-client.ts";
import { judge, type Verdict } from "./verdict.ts";
import { pause } from "./weather.ts";
import type { Resident, World } from "./world.ts";

/** Visitors come in lanes, one after the other in each; every mode of every client has all of them. */
const LANES: readonly (readonly ShapeName[])[] = [
  ["bulk up", "bulk down", "bulk both ways", "half-close, long answer", "half-close, long question"],
  ["echo", "single bytes", "slow reader", "echo"],
  ["idle"],
  [
    ...(["short", "short", "short", "short", "short", "short"] as const),
    ...(["the visitor leaves at once", "the visitor leaves at once", "the target refuses"] as const),
    ...(["the target resets at once", "the target reads nothing", "the target stops reading"] as const),
    ...(["reset by the visitor", "reset by the visitor"] as const),
    ...(["reset by the target", "reset by the target"] as const),
  ],
];

/** So many short ones come together. */
const BURST = [1, 12] as const;
/** Between two connections of a lane. */
const GAP_MS = [0, 400] as const;

const LOOK_MS = 500;
/** What explains a reset may be told a little later than the reset. */
const EVIDENCE_MS = 3_000;
/** A target may be reached by a visitor that is long gone, when the link was away meanwhile. */
const REMEMBERED_MS = 300_000;

/** All the connections of one world: makes them, watches them, and judges each when it is over. */
export class Traffic {
  readonly #world: World;
  readonly #tape: Tape;
  readonly #journal: Journal;
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #live = new Set<Conversation>();
  readonly #known = new Map<number, Conversation>();
  readonly #judging = new Set<Promise<void>>();
  readonly #watch: NodeJS.Timeout;
  readonly #numbers: () => number;
  #isClosed = false;

  constructor(
    world: World,
    seed: number,
    shared: { tape: Tape; journal: Journal; ledger: Ledger; numbers: () => number },
  ) {
    this.#world = world;
    this.#random = new Random(seed);
    this.#tape = shared.tape;
    this.#journal = shared.journal;
    this.#ledger = shared.ledger;
    this.#numbers = shared.numbers;
    for (const { client, targets } of world.residents) {
      targets.serve({
        find: (id, mode) => {
          const found = this.#known.get(id);
          return found?.client === client && found.mode === mode ? found : undefined;
        },
        calmMs: () => client.troubles.calmMs,
        onStranger: (stranger) => this.#judgeStranger(stranger, client),
        fail: (text) => this.#fail(text, client),
      });
    }
    this.#watch = setInterval(() => this.#look(), LOOK_MS);
  }

  get live(): number {
    return this.#live.size;
  }

  /** Until told to stop; resolves when every connection is over and judged. */
  async flow(signal: AbortSignal): Promise<void> {
    const lanes = this.#world.residents.flatMap(({ client }, n) =>
      MODES.flatMap((mode, m) =>
        LANES.map((shapes, k) => {
          const random = this.#random.derive((n * MODES.length + m) * LANES.length + k);
          return this.#lane(shapes, client, mode, random, signal);
        }),
      ),
    );
    signal.addEventListener("abort", () => {
      for (const conversation of this.#live) conversation.hurry();
    });
    await Promise.all(lanes);
    await Promise.all(this.#judging);
    clearInterval(this.#watch);
  }

  /** Ends it, whatever there is. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#watch);
    for (const conversation of this.#live) conversation.destroy();
  }

  async #lane(
    shapes: readonly ShapeName[],
    client: TunnelClient,
    mode: Mode,
    random: Random,
    signal: AbortSignal,
  ): Promise<void> {
    let deck: ShapeName[] = [];
    while (!signal.aborted) {
      if (deck.length === 0) deck = random.shuffle(shapes);
      const shape = deck.pop()!;
      const count = shape === "short" ? random.between(...BURST) : 1;
      const gapMs = random.between(...GAP_MS);
      const overs: Promise<void>[] = [];
      for (let n = 0; n < count; n += 1) {
        // Drawn before it is known whether anybody listens: the n-th of a lane is the same in every run.
        const play = drawPlay(shape, random);
        const own = random.derive(random.uint32());
        const port = await this.#open(client, mode, play.target, signal);
        if (port === undefined) break;
        overs.push(
          this.#talk({ id: this.#numbers(), play, client, mode, port, random: own, tape: this.#tape }),
        );
      }
      await Promise.all(overs);
      await pause(gapMs, signal);
    }
  }

  /** The port where visitors come in, as soon as there is one. */
  async #open(
    client: TunnelClient,
    mode: Mode,
    kind: Conversation["play"]["target"],
    signal: AbortSignal,
  ): Promise<number | undefined> {
    while (!signal.aborted) {
      const port = client.port(mode, kind);
      if (port !== undefined) return port;
      await pause(100, signal);
    }
    return undefined;
  }

  async #talk(options: ConstructorParameters<typeof Conversation>[0]): Promise<void> {
    const conversation = new Conversation(options);
    this.#live.add(conversation);
    this.#known.set(conversation.id, conversation);
    await conversation.over;
    this.#live.delete(conversation);
    const judging = this.#judge(conversation);
    this.#judging.add(judging);
    void judging.then(() => this.#judging.delete(judging));
    setTimeout(() => this.#known.delete(conversation.id), REMEMBERED_MS).unref();
  }

  async #judge(conversation: Conversation): Promise<void> {
    let verdict = this.#verdict(conversation);
    if (verdict.kind === "failure") {
      await new Promise((resolve) => setTimeout(resolve, EVIDENCE_MS));
      verdict = this.#verdict(conversation);
    }
    this.#ledger.add(conversation, verdict);
    if (verdict.kind === "failure") this.#failed(conversation, verdict.text);
    if (conversation.host === undefined) {
      conversation.onLateHost = () => {
        const late = this.#verdict(conversation);
        if (late.kind === "failure") this.#failed(conversation, `after its visitor was gone, ${late.text}`);
      };
    }
  }

  #verdict(conversation: Conversation): Verdict {
    const { client, mode, startedAt, overAt, visitorPort } = conversation;
    const lifeMs = overAt - startedAt;
    const calmMs = conversation.overCalmMs - conversation.startCalmMs;
    return judge(conversation, {
      loss: lossAt(client, brokenAt(conversation)),
      visitorBereft: this.#world.isBereft(client, "visitor", mode, startedAt),
      hostBereft: this.#world.isBereft(client, "host", mode, startedAt),
      code: this.#world.codeOf(visitorPort),
      troubledMs: lifeMs - calmMs,
    });
  }

  #judgeStranger(stranger: Stranger, client: TunnelClient): void {
    const { heard, hasHeardEnd, mode, startedAt } = stranger;
    const isBereft = this.#world.isBereft(client, "host", mode, startedAt);
    // Who leaves at once may leave without a word, and then its target hears a clean end of nothing.
    if (!hasHeardEnd || heard.length === 0 || isBereft) return;
    this.#fail(`a target heard a clean end after ${heard.length} bytes of a header`, client);
  }

  /** Finds what hangs. */
  #look(): void {
    const { hangCalmMs, hangMs } = this.#world.settings;
    const now = performance.now();
    for (const conversation of this.#live) {
      const { client, progressAt, progressCalmMs, restsUntil } = conversation;
      if (restsUntil > now) continue;
      const waitedMs = now - Math.max(progressAt, restsUntil);
      const calmMs = Math.min(waitedMs, client.troubles.calmMs - progressCalmMs);
      if (waitedMs < hangMs && calmMs < hangCalmMs) continue;
      const text = `hangs: nothing for ${seconds(waitedMs)}, of which ${seconds(calmMs)} were calm`;
      this.#failed(conversation, text);
      conversation.destroy();
    }
    for (const { client, targets } of this.#world.residents) this.#lookForStrangers({ client, targets });
  }

  #lookForStrangers({ client, targets }: Resident): void {
    for (const stranger of targets.strangers) {
      const waitedMs = performance.now() - stranger.startedAt;
      const calmMs = client.troubles.calmMs - stranger.calmMs;
      if (waitedMs < this.#world.settings.hangMs && calmMs < this.#world.settings.hangCalmMs) continue;
      this.#fail(`a target waits for ${seconds(waitedMs)} for its visitor's first bytes`, client);
      stranger.socket.destroy();
    }
  }

  #failed(conversation: Conversation, text: string): void {
    const { id, play, client, mode, visitor, host } = conversation;
    if (conversation.isFailed) return;
    conversation.isFailed = true;
    const end = (name: string, one: typeof host): string =>
      one === undefined
        ? `${name}: never reached`
        : `${name}: said ${one.said}${one.hasEnded ? " and its end" : ""}, heard ${one.heard}` +
          `${one.hasHeardEnd ? " and the end" : ""}${one.hasBrokenOff ? ", broke off" : ""}` +
          `${one.error === undefined ? "" : `, ${one.error}`}${one.isOver ? "" : ", still open"}`;
    const lived = `lived ${seconds((conversation.overAt || performance.now()) - conversation.startedAt)}`;
    const about = [
      `${mode} of client ${client.name}, ${play.shape}, ${lived}, log code ${this.#world.codeOf(conversation.visitorPort)}`,
      end("visitor", visitor),
      end("target", host),
      `plan: ${JSON.stringify(play)}`,
      `trouble now: ${client.troubles.text}`,
    ];
    this.#fail(`connection ${id}: ${text}`, client, about);
  }

  #fail(text: string, client: Carrier, about: readonly string[] = []): void {
    // What breaks now was broken by us.
    if (this.#isClosed) return;
    const recent = this.#journal.recent(`client ${client.name}`, `server ${this.#world.settings.name}`);
    this.#journal.fail(`client ${client.name}: ${text}`, [...about, "before it:", recent].join("\n"));
  }
}

/** When the first end broke: the other one may learn of it much later, when the link is back. */
function brokenAt({ visitor, host, overAt }: Conversation): number {
  const broken = [visitor, host].filter(
    (end) => end !== undefined && !(end.hasHeardEnd && end.error === undefined),
  );
  return broken.reduce((first, end) => Math.min(first, end?.overAt || overAt), overAt);
}

/** Why this client had no session at that time, if it had none: its connections break then, and at no other time. */
function lossAt({ losses }: Carrier, at: number): string | undefined {
  const found = losses.findLast(
    (loss) => loss.from <= at + EVIDENCE_MS && (loss.until ?? Infinity) >= at - EVIDENCE_MS,
  );
  return found?.why;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
