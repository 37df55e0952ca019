import type { Random } from "@culvert/chaos";
import { SeededSink } from "./seeded-sink.ts";
import { SeededSource } from "./seeded-source.ts";
import { Service } from "./service.ts";
import { type Ending, WireEnd } from "./wire-end.ts";

/**
 * What two ends do with one connection. `both`: each sends its bytes and its end at once. `ask`: the target answers when
 * it has heard everything. The others are cut off by one end after it has read half of what was meant for it.
 */
const KINDS = ["both", "ask", "visitorBreaks", "targetBreaks"] as const;

/** The first bytes of a visitor, padded to a fixed length: who the service is to be. */
interface Script {
  readonly kind: (typeof KINDS)[number];
  readonly seed: number;
  readonly up: number;
  readonly down: number;
}

const SCRIPT_BYTES = 100;

/** What went wrong; empty when all went as it should. */
export type Faults = readonly string[];

/** A service that plays its part of each {@link converse}, and remembers what it heard that was wrong. */
export class ConversationPartner implements AsyncDisposable {
  readonly #service: Service;
  readonly #faults: string[];

  private constructor(service: Service, faults: string[]) {
    this.#service = service;
    this.#faults = faults;
  }

  static async start(): Promise<ConversationPartner> {
    const faults: string[] = [];
    const service = await Service.start(async (visitor) => {
      faults.push(...(await play(visitor)));
    });
    service.forgets();
    return new ConversationPartner(service, faults);
  }

  get address(): string {
    return this.#service.address;
  }

  /** Connections that are open here. */
  get open(): number {
    return this.#service.open;
  }

  get faults(): Faults {
    return this.#faults;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service[Symbol.asyncDispose]();
  }
}

async function play(visitor: WireEnd): Promise<Faults> {
  // One who breaks may be gone before all of its script was here.
  const head = await visitor.read(SCRIPT_BYTES).catch(() => undefined);
  if (head === undefined) return [];
  const faults = await answer(visitor, JSON.parse(head.toString()) as Script);
  return faults.map((fault) => `${fault} (target of ${head})`);
}

/** One random conversation with the partner behind `address`. Resolves when it is over at this end. */
export async function converse(address: string | undefined, random: Random): Promise<Faults> {
  const size = (): number => random.between(0, 2) * random.between(0, 60_000);
  const script: Script = { kind: random.pick(KINDS), seed: random.uint32(), up: size(), down: size() };
  const text = JSON.stringify(script);
  const visitor = await WireEnd.connect(address);
  visitor.keepsNothing();
  visitor.socket.write(text.padEnd(SCRIPT_BYTES));
  const faults = await speak(visitor, script);
  return faults.map((fault) => `${fault} (visitor of ${text})`);
}

async function speak(visitor: WireEnd, { kind, seed, up, down }: Script): Promise<string[]> {
  const sink = new SeededSink(visitor.socket, seed + 1);
  if (kind === "visitorBreaks") {
    await readAbout(visitor, down / 2);
    visitor.reset();
    return [];
  }
  new SeededSource(visitor.socket, seed, up);
  return kind === "targetBreaks" ? mustBreak(visitor) : mustBeWhole(visitor, sink, down);
}

async function answer(target: WireEnd, { kind, seed, up, down }: Script): Promise<string[]> {
  const sink = new SeededSink(target.socket, seed, target.bytes.subarray(SCRIPT_BYTES));
  target.keepsNothing();
  if (kind === "targetBreaks") {
    await readAbout(target, up / 2);
    target.reset();
    return [];
  }
  if (kind === "ask") await target.ended();
  new SeededSource(target.socket, seed + 1, kind === "visitorBreaks" ? Number.POSITIVE_INFINITY : down);
  return kind === "visitorBreaks" ? mustBreak(target) : mustBeWhole(target, sink, up);
}

async function mustBeWhole(end: WireEnd, sink: SeededSink, expected: number): Promise<string[]> {
  const faults: string[] = [];
  const whole = await sink.whole.catch((error: Error) => error.message);
  if (whole !== expected) faults.push(`${whole} instead of ${expected} bytes`);
  const ending = await closed(end);
  if (ending !== "end") faults.push(`ended with ${ending}`);
  return faults;
}

/** Who is writing or reading when the other end breaks must be told. */
async function mustBreak(end: WireEnd): Promise<string[]> {
  const ending = await closed(end);
  return ending === "ECONNRESET" || ending === "EPIPE" ? [] : [`ended with ${ending} and not with a reset`];
}

function closed(end: WireEnd): Promise<Ending> {
  return end.closed(45_000).catch((error: Error) => error.message);
}

/** Reads so much, or until the end. */
async function readAbout(end: WireEnd, bytes: number): Promise<void> {
  await end.read(end.received + Math.floor(bytes)).catch(() => undefined);
}
