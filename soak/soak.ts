import { Random } from "@culvert/chaos";
import { Census } from "./census.ts";
import type { Guard } from "./guard.ts";
import type { Journal } from "./journal.ts";
import { Ledger } from "./ledger.ts";
import { Mishaps } from "./mishaps.ts";
import { type Settings, WORLDS } from "./settings.ts";
import { Tape } from "./tape.ts";
import { Traffic } from "./traffic.ts";
import { pause, Weather } from "./weather.ts";
import { World } from "./world.ts";

/** How long trouble is absent before memory is compared, traffic going on. */
const CALM_MS = 25_000;
/** The first calm ends at two minutes, the others follow at this distance. */
const FIRST_CALM_MS = 120_000;
const CALM_EVERY_MS = 240_000;

/** Connections have this long to come to an end when no more are made. */
const ENDING_MS = 120_000;
/** And then the processes to let go of what they held for them. */
const SETTLING_MS = 20_000;
/** What docs/cli.md promises for a stop without connections, with room for a busy machine. */
const STOPPING_MS = 20_000;

const LATE = "not in time";

/** Everything that runs in a soak, from its start to its end. */
export class Soak {
  readonly startedAt: number = performance.now();
  readonly worlds: World[] = [];
  readonly ledger = new Ledger();
  readonly journal: Journal;
  census: Census | undefined;
  traffics: Traffic[] = [];
  readonly #settings: Settings;
  readonly #guard: Guard;
  readonly #ending = new AbortController();

  constructor(settings: Settings, guard: Guard, journal: Journal) {
    this.#settings = settings;
    this.#guard = guard;
    this.journal = journal;
  }

  get live(): number {
    return this.traffics.reduce((sum, { live }) => sum + live, 0);
  }

  get resumes(): number {
    return this.#clients.reduce((sum, { resumes }) => sum + resumes, 0);
  }

  get sessions(): number {
    return this.#clients.reduce((sum, { sessions }) => sum + sessions, 0);
  }

  get troubles(): number {
    return [...this.journal.troubles.values()].reduce((sum, count) => sum + count, 0);
  }

  get #clients(): World["residents"][number]["client"][] {
    return this.worlds.flatMap(({ residents }) => residents.map(({ client }) => client));
  }

  /** Until its time is over, or the signal says so. Failures are in the journal. */
  async run(signal: AbortSignal): Promise<void> {
    const random = new Random(this.#settings.seed);
    for (const settings of WORLDS) {
      this.worlds.push(await World.start(settings, random.uint32(), this.#guard, this.journal));
    }
    this.census = new Census(this.worlds);
    let number = 0;
    const shared = {
      tape: new Tape(this.#settings.seed),
      journal: this.journal,
      ledger: this.ledger,
      numbers: () => ++number,
    };
    this.traffics = this.worlds.map((world) => new Traffic(world, random.uint32(), shared));
    const weathers = this.worlds.flatMap(({ settings, residents }) =>
      residents.map(({ client }) => new Weather(client, settings, this.journal, random.uint32())),
    );
    const mishaps = this.worlds.map((world) => new Mishaps(world, this.journal, random.uint32()));

    const ending = this.#ending;
    const flow = Promise.all(this.traffics.map((traffic) => traffic.flow(ending.signal)));
    for (const calmAt of this.#calms()) {
      const storm = AbortSignal.any([
        signal,
        AbortSignal.timeout(Math.max(1, Math.round(calmAt - this.#elapsedMs))),
      ]);
      await Promise.all([
        ...weathers.map((weather) => weather.blow(storm)),
        ...mishaps.map((mishap) => mishap.happen(storm)),
      ]);
      if (signal.aborted) break;
      this.journal.note("calm for everybody");
      await pause(CALM_MS, signal);
      this.census.mark();
    }
    ending.abort();
    await this.#end(flow, signal);
  }

  /** Kills what still runs. */
  async close(): Promise<void> {
    this.#ending.abort();
    this.census?.close();
    for (const traffic of this.traffics) traffic.close();
    for (const { process } of this.#clients) process.stoppedAt ??= performance.now();
    await Promise.all(this.worlds.map((world) => world.close()));
  }

  get #elapsedMs(): number {
    return performance.now() - this.startedAt;
  }

  /** When each calm begins. */
  #calms(): number[] {
    const last = this.#settings.minutes * 60_000 - CALM_MS;
    const calms: number[] = [];
    for (let at = FIRST_CALM_MS - CALM_MS; at < last - CALM_EVERY_MS / 2; at += CALM_EVERY_MS) calms.push(at);
    return [...calms, last];
  }

  /** Nothing new: what was carried ends, nothing is left of it, and the processes stop as asked. */
  async #end(flow: Promise<unknown>, signal: AbortSignal): Promise<void> {
    const isOver = await within(ENDING_MS, flow, signal);
    if (signal.aborted) return;
    if (isOver === LATE) this.journal.fail(`${this.live} connections do not come to an end`);
    const settled = AbortSignal.any([signal, AbortSignal.timeout(SETTLING_MS)]);
    while (!settled.aborted && this.census!.leaking().length > 0) await pause(250, settled);
    for (const leak of this.census!.leaking()) this.journal.fail(`descriptors were not closed: ${leak}`);
    await this.#compareReports();
    this.census!.close();
    for (const culvert of this.worlds.flatMap(({ processes }) => processes).reverse()) {
      const how = await within(STOPPING_MS, culvert.stop(), signal);
      if (how !== 0 && !signal.aborted) {
        this.journal.fail(`${culvert.name} was stopped at the end, and ended with ${how}`, culvert.tail);
      }
    }
  }

  /** A server counts what is open; nothing may be, but one session for each client. */
  async #compareReports(): Promise<void> {
    for (const { server, residents } of this.worlds) {
      const reported = server.line(({ msg }) => msg === "state of the server");
      server.report();
      const { sessions, streams } = await reported;
      if (sessions === residents.length && streams === 0) continue;
      this.journal.fail(
        `${server.name} still has ${sessions} sessions and ${streams} connections`,
        server.tail,
      );
    }
  }
}

/** What `promise` resolves with, or that it was late. Leaves no timer behind. */
async function within<T>(ms: number, promise: Promise<T>, signal: AbortSignal): Promise<T | typeof LATE> {
  const enough = new AbortController();
  const late = pause(ms, AbortSignal.any([signal, enough.signal])).then((): typeof LATE => LATE);
  try {
    return await Promise.race([promise, late]);
  } finally {
    enough.abort();
  }
}
