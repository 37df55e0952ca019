import type { Mode, Tunnel } from "@culvert/client";
import { expect } from "vitest";
import { soon, until } from "../../support/deadline.ts";
import { SeededBytes } from "../../support/seeded-bytes.ts";
import { SeededSink } from "../../support/seeded-sink.ts";
import { Service } from "../../support/service.ts";
import { MODES } from "../../support/tunnel-fixture.ts";
import { WireEnd } from "../../support/wire-end.ts";
import { PacedSource } from "./paced-source.ts";

const QUESTION_BYTES = 64;
const PAUSE_MS = 20;

/** What opens a tunnel to an address. */
export type Opener = (mode: Mode, connect: string) => Promise<Tunnel>;

/** The two ends of one connection that carries bulk both ways, for as long as it is not stopped. */
class Bulk {
  readonly ends: readonly [visitor: WireEnd, target: WireEnd];
  readonly #ways: readonly { readonly source: PacedSource; readonly sink: SeededSink }[];

  constructor(visitor: WireEnd, target: WireEnd, seed: number) {
    this.ends = [visitor, target];
    for (const end of this.ends) end.keepsNothing();
    this.#ways = [way(visitor, target, seed), way(target, visitor, seed + 1)];
  }

  /** Bytes that arrived, by direction. */
  get received(): number[] {
    return this.#ways.map(({ sink }) => sink.received);
  }

  async settle(patienceMs: number): Promise<void> {
    const sent = this.#ways.map(({ source }) => source.stop());
    for (const [n, { sink }] of this.#ways.entries()) {
      expect(await soon(sink.whole, "the end of the bulk", patienceMs)).toBe(sent[n]);
    }
    for (const end of this.ends) expect(await end.closed(patienceMs)).toBe("end");
  }

  /** Neither side may take it for whole. */
  async isReset(patienceMs: number): Promise<void> {
    for (const end of this.ends) expect(RESET).toContain(await end.closed(patienceMs));
    for (const { sink } of this.#ways) await expect(sink.whole).rejects.toThrow();
  }
}

function way(from: WireEnd, to: WireEnd, seed: number): { source: PacedSource; sink: SeededSink } {
  const sink = new SeededSink(to.socket, seed);
  return { sink, source: new PacedSource(from.socket, seed, sink, to.socket) };
}

/** A visitor who asks 64 bytes, waits for them to come back, and asks the next 20 ms later. */
class Echo {
  readonly visitor: WireEnd;
  readonly #sink: SeededSink;
  readonly #bytes: SeededBytes;
  #sent = 0;
  #isOver = false;
  #slowestMs = 0;
  #askedAt = 0;

  constructor(visitor: WireEnd, seed: number) {
    this.visitor = visitor;
    visitor.keepsNothing();
    this.#sink = new SeededSink(visitor.socket, seed);
    this.#bytes = new SeededBytes(seed);
    visitor.socket.on("data", () => {
      if (this.#sink.received !== this.#sent) return;
      this.#slowestMs = Math.max(this.#slowestMs, performance.now() - this.#askedAt);
      if (!this.#isOver) setTimeout(() => this.#ask(), PAUSE_MS);
    });
    this.#ask();
  }

  get received(): number {
    return this.#sink.received;
  }

  /** The longest that an answer took, for the report. */
  get slowestMs(): number {
    return Math.round(this.#slowestMs);
  }

  async settle(patienceMs: number): Promise<void> {
    this.#isOver = true;
    this.visitor.socket.end();
    expect(await soon(this.#sink.whole, "the end of the echoes", patienceMs)).toBe(this.#sent);
  }

  async isReset(patienceMs: number): Promise<void> {
    this.#isOver = true;
    expect(RESET).toContain(await this.visitor.closed(patienceMs));
  }

  #ask(): void {
    if (this.#isOver || this.visitor.socket.destroyed) return;
    this.#sent += QUESTION_BYTES;
    this.#askedAt = performance.now();
    this.visitor.socket.write(this.#bytes.next(QUESTION_BYTES));
  }
}

/** Who is reading hears the reset as the first, who is writing as one of both. */
const RESET = ["ECONNRESET", "EPIPE"];

/**
 * What goes on while a fault happens: through each mode a connection with bulk both ways, one that echoes, and one that
 * was used once and is idle. Whoever uses it says in the end whether all of it must be whole, or all of it lost.
 */
export class StandingLoad implements AsyncDisposable {
  readonly tunnels: readonly Tunnel[];
  readonly #services: readonly Service[];
  readonly #bulks: readonly Bulk[];
  readonly #echoes: readonly Echo[];
  readonly #idle: readonly WireEnd[];

  private constructor(
    tunnels: readonly Tunnel[],
    services: readonly Service[],
    bulks: readonly Bulk[],
    echoes: readonly Echo[],
    idle: readonly WireEnd[],
  ) {
    this.tunnels = tunnels;
    this.#services = services;
    this.#bulks = bulks;
    this.#echoes = echoes;
    this.#idle = idle;
  }

  /** Resolves when everything has begun. */
  static async start(open: Opener, seed: number): Promise<StandingLoad> {
    const [sink, echo] = [await Service.start(), await Service.echo()];
    const tunnels: Tunnel[] = [];
    const bulks: Bulk[] = [];
    const echoes: Echo[] = [];
    const idle: WireEnd[] = [];
    for (const [n, mode] of MODES.entries()) {
      const [toSink, toEcho] = [await open(mode, sink.address), await open(mode, echo.address)];
      tunnels.push(toSink, toEcho);
      const still = await WireEnd.connect(toEcho.address);
      expect(await still.ask("before")).toBe("before");
      idle.push(still);
      const visitor = await WireEnd.connect(toSink.address);
      bulks.push(new Bulk(visitor, await sink.next(), seed + 10 * n));
      echoes.push(new Echo(await WireEnd.connect(toEcho.address), seed + 10 * n + 5));
    }
    const load = new StandingLoad(tunnels, [sink, echo], bulks, echoes, idle);
    await load.moves();
    return load;
  }

  /** Bytes that have arrived, all together. */
  get received(): number {
    return this.#counts().reduce((sum, count) => sum + count, 0);
  }

  /** The longest that an echo took. */
  get slowestEchoMs(): number {
    return Math.max(...this.#echoes.map(({ slowestMs }) => slowestMs));
  }

  /** Resolves when each of them got something that it did not have before. */
  async moves(patienceMs?: number): Promise<void> {
    const before = this.#counts();
    const hasMoved = (): boolean => this.#counts().every((count, n) => count > (before[n] ?? 0));
    await until(hasMoved, "every connection goes on", patienceMs);
  }

  /** Ends everything in good order: each byte arrived once and in order, with the end behind it, and the idle ones live. */
  async settle(patienceMs = 15_000): Promise<void> {
    await Promise.all(this.#bulks.map((bulk) => bulk.settle(patienceMs)));
    await Promise.all(this.#echoes.map((echo) => echo.settle(patienceMs)));
    for (const still of this.#idle) {
      expect(await still.ask("after")).toBe("after");
      still.socket.end();
      expect(await still.closed(patienceMs)).toBe("end");
    }
  }

  /** Each connection was reset at both of its ends, and none looked as if it had ended well. */
  async isReset(patienceMs = 15_000): Promise<void> {
    await Promise.all(this.#bulks.map((bulk) => bulk.isReset(patienceMs)));
    await Promise.all(this.#echoes.map((echo) => echo.isReset(patienceMs)));
    for (const still of this.#idle) expect(await still.closed(patienceMs)).toBe("ECONNRESET");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const visitors = [...this.#bulks.flatMap(({ ends }) => ends), ...this.#echoes.map((one) => one.visitor)];
    for (const { socket } of [...visitors, ...this.#idle]) socket.destroy();
    for (const service of this.#services) await service[Symbol.asyncDispose]();
  }

  #counts(): number[] {
    return [...this.#bulks.flatMap(({ received }) => received), ...this.#echoes.map((one) => one.received)];
  }
}
