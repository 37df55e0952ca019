import type { CulvertProcess, ProcessFigures } from "./culvert-process.ts";
import type { World } from "./world.ts";

/** A mark is the median of what was seen in this time before it. */
const WINDOW_MS = 10_000;
const LOOK_MS = 500;
/** The first mark that counts is made when a process is two minutes old, nearly: by then it has grown to its size. */
const GROWN_MS = 115_000;

/** So old a process has its modules loaded. */
const BEGUN_MS = 1_000;

interface Mark {
  readonly at: number;
  readonly rssBytes: number;
}

/** What was seen of one life of a process. */
export class Life {
  readonly process: CulvertProcess;
  /** As soon as it had begun; undefined: it was gone before. */
  start: ProcessFigures | undefined;
  last: ProcessFigures | undefined;
  readonly marks: Mark[] = [];
  readonly #recent: Mark[] = [];

  constructor(process: CulvertProcess) {
    this.process = process;
  }

  get ageMs(): number {
    return performance.now() - this.process.startedAt;
  }

  look(): void {
    const figures = this.process.figures;
    if (figures === undefined) return;
    this.last = figures;
    if (this.ageMs > BEGUN_MS) this.start ??= figures;
    const at = performance.now();
    this.#recent.push({ at, rssBytes: figures.rssBytes });
    while (this.#recent[0]!.at < at - WINDOW_MS) this.#recent.shift();
  }

  mark(): void {
    const sorted = this.#recent.map(({ rssBytes }) => rssBytes).sort((a, b) => a - b);
    if (sorted.length > 0) this.marks.push({ at: performance.now(), rssBytes: sorted[sorted.length >> 1]! });
  }

  /** The first mark of the grown process, and the last one: two of the same calm and the same kind of load. */
  get grown(): Mark | undefined {
    return this.marks.find(({ at }) => at - this.process.startedAt >= GROWN_MS);
  }
  get final(): Mark | undefined {
    return this.marks.at(-1);
  }

  /** How much more it had at the last mark than when it was grown; undefined: there are no two such marks. */
  get growth(): number | undefined {
    const { grown, final } = this;
    return grown === undefined || final === undefined || grown === final
      ? undefined
      : final.rssBytes / grown.rssBytes - 1;
  }
}

/** Watches the memory and the descriptors of all processes, each life by itself. */
export class Census {
  readonly lives: Life[] = [];
  readonly #worlds: readonly World[];
  /** What a process of that name had when everything was ready and nothing was carried. */
  readonly #idleDescriptors = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;

  constructor(worlds: readonly World[]) {
    this.#worlds = worlds;
    this.#look();
    for (const { process, last } of this.lives)
      this.#idleDescriptors.set(process.name, last?.descriptors ?? 0);
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** The lives that go on. */
  get present(): Life[] {
    return this.lives.filter(({ process }) => process.isRunning);
  }

  /** Notes what each process has in a calm minute. */
  mark(): void {
    for (const life of this.present) life.mark();
  }

  idleDescriptors(name: string): number {
    return this.#idleDescriptors.get(name) ?? 0;
  }

  /** The processes that hold more descriptors now than when they were idle at the start. */
  leaking(): string[] {
    this.#look();
    return this.present
      .filter(({ process, last }) => (last?.descriptors ?? 0) > this.idleDescriptors(process.name))
      .map(
        ({ process: { name }, last }) =>
          `${name} has ${last?.descriptors}, and had ${this.idleDescriptors(name)}`,
      );
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    for (const process of this.#worlds.flatMap((world) => world.processes)) {
      if (!process.isRunning) continue;
      let life = this.lives.find((one) => one.process === process);
      if (life === undefined) {
        life = new Life(process);
        this.lives.push(life);
      }
      life.look();
    }
  }
}
