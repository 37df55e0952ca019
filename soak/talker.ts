import type { Socket } from "node:net";
import type { Random } from "@culvert/chaos";
import { resetSocket } from "@culvert/chaos";
import type { Script } from "./script.ts";
import { MAX_READ_BYTES, type Tape } from "./tape.ts";

export interface TalkerOptions {
  readonly socket: Socket;
  readonly script: Script;
  readonly random: Random;
  readonly tape: Tape;
  /** Where on the tape is what it says, and what it is to hear. */
  readonly says: number;
  readonly hears: number;
  /** Comes before what it says, and does not count. */
  readonly header?: Buffer;
  /** Something went on. */
  onProgress(): void;
  /** The socket is closed; comes once, last. */
  onOver(): void;
}

/** Thrown inside where the connection is over and nothing remains to be done. */
const OVER = new Error("over");

/** One end of a connection: follows its script, and compares each byte that it hears with the one that belongs there. */
export class Talker {
  /** Bytes of the tape, without the header. */
  said = 0;
  heard = 0;
  /** It said its last. */
  hasEnded = false;
  /** The other end said its last, as far as this end was told. */
  hasHeardEnd = false;
  /** It broke off by itself. */
  hasBrokenOff = false;
  /** It did so with a close, which looks like an end to whoever had heard everything. */
  hasClosed = false;
  isOver = false;
  overAt = 0;
  /** What the socket said. */
  error: string | undefined;
  /** The first wrong byte. */
  wrong: string | undefined;
  /** Until then it is silent, deaf or slow of its own will (`performance.now()`). */
  restsUntil = 0;
  readonly socket: Socket;
  readonly #options: TalkerOptions;
  readonly #waiting = new Set<() => void>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #wake: (() => void) | undefined;
  #isHurried = false;

  constructor(options: TalkerOptions) {
    this.#options = options;
    this.socket = options.socket;
    this.socket
      .on("data", (chunk: Buffer) => this.hear(chunk))
      .on("end", () => this.#heardEnd())
      .on("error", (error: NodeJS.ErrnoException) => {
        this.error ??= error.code ?? error.message;
      })
      .on("close", () => this.#over());
  }

  /** Begins to follow the script. The socket is connected. */
  start(): void {
    const { script, header } = this.#options;
    if (script.leaves !== undefined) {
      if (header !== undefined && script.bytes > 0) this.socket.write(header);
      this.breakOff(script.leaves);
      return;
    }
    if (script.deafForMs !== undefined) this.#turnDeaf(script.deafForMs);
    this.#follow().catch((error: unknown) => {
      if (error !== OVER) throw error;
    });
  }

  /** Waits no longer than it must: the run is about to end. */
  hurry(): void {
    this.#isHurried = true;
    this.#wake?.();
  }

  /** Takes bytes that came; also those that were read before it took over the socket. */
  hear(chunk: Buffer): void {
    const { tape, hears, script } = this.#options;
    const at = tape.firstWrong(chunk, hears, this.heard);
    if (at >= 0 && this.wrong === undefined) {
      const sample = chunk.subarray(at, at + 16);
      const place = sample.length < 8 ? undefined : tape.find(sample, hears);
      const guess = place === undefined ? "" : `, which belongs to offset ${place} of it or to another one`;
      this.wrong = `byte ${this.heard + at} is wrong (${sample.toString("hex")}${guess})`;
    }
    this.heard += chunk.length;
    this.#options.onProgress();
    if (script.readBytesPerSecond !== undefined && !this.#isHurried) {
      this.#pauseFor((chunk.length / script.readBytesPerSecond) * 1000);
    }
    this.#changed();
  }

  breakOff(how: "reset" | "close"): void {
    if (this.isOver || this.hasBrokenOff) return;
    this.hasBrokenOff = true;
    this.hasClosed = how === "close";
    if (how === "reset") resetSocket(this.socket);
    else this.socket.destroy();
  }

  async #follow(): Promise<void> {
    const { script, random, header } = this.#options;
    if (header !== undefined) {
      // Who says single bytes does so from the first one on.
      for (const piece of script.piece[1] === 1 ? [...header].map((byte) => Buffer.of(byte)) : [header]) {
        await this.#write(piece);
      }
    }
    if (script.beginsLast) await this.#until(() => this.hasHeardEnd);
    if (script.echoes) await this.#echo();
    let rests = script.restMs !== undefined;
    while (!script.echoes && this.said < script.bytes) {
      const length = Math.min(random.between(...script.piece), script.bytes - this.said);
      await this.#say(length);
      // After the end of the other side nothing comes any more; going on shows whether the rest still has somewhere to go.
      if (script.inTurns) await this.#until(() => this.heard >= this.said || this.hasHeardEnd);
      if (script.gapMs !== undefined) await this.#rest(random.between(...script.gapMs));
      if (rests && this.said * 2 >= script.bytes) {
        rests = false;
        await this.#rest(script.restMs ?? 0);
      }
    }
    if (script.endsLast || script.deafForMs !== undefined) await this.#until(() => this.hasHeardEnd);
    this.hasEnded = true;
    this.socket.end();
  }

  async #echo(): Promise<void> {
    for (;;) {
      await this.#until(() => this.heard > this.said || this.hasHeardEnd);
      if (this.heard === this.said) return;
      await this.#say(this.heard - this.said);
    }
  }

  async #say(length: number): Promise<void> {
    const { tape, says } = this.#options;
    for (let left = length; left > 0; ) {
      const piece = tape.read(says, this.said, Math.min(left, MAX_READ_BYTES));
      left -= piece.length;
      // Counted first: it may be heard at the other end before this one is told that it is written.
      this.said += piece.length;
      await this.#write(piece);
      this.#breakOffInTime();
    }
  }

  async #write(piece: Buffer): Promise<void> {
    if (this.socket.destroyed) throw OVER;
    if (!this.socket.write(piece)) {
      await new Promise<void>((resolve) => {
        const go = (): void => {
          this.socket.off("drain", go).off("close", go);
          resolve();
        };
        this.socket.on("drain", go).on("close", go);
      });
    }
    if (this.socket.destroyed) throw OVER;
    this.#options.onProgress();
  }

  #breakOffInTime(): void {
    const { resetAfterBytes } = this.#options.script;
    if (resetAfterBytes !== undefined && this.said + this.heard >= resetAfterBytes) this.breakOff("reset");
  }

  #turnDeaf(ms: number): void {
    this.#pauseFor(ms + 1);
    this.#timer(ms, () => this.breakOff("reset"));
  }

  #pauseFor(ms: number): void {
    this.restsUntil = Math.max(this.restsUntil, performance.now() + ms);
    this.socket.pause();
    this.#timer(ms, () => this.socket.resume());
  }

  #timer(ms: number, then: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      then();
    }, ms);
    this.#timers.add(timer);
  }

  /** @throws OVER when the connection is over before `condition` holds. */
  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.isOver) throw OVER;
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  async #rest(ms: number): Promise<void> {
    if (ms === 0 || this.#isHurried) return;
    this.restsUntil = performance.now() + ms;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
    this.restsUntil = performance.now();
    this.#options.onProgress();
    if (this.isOver) throw OVER;
  }

  #heardEnd(): void {
    this.hasHeardEnd = true;
    this.#options.onProgress();
    this.#changed();
  }

  #over(): void {
    this.isOver = true;
    this.overAt = performance.now();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#wake?.();
    this.#changed();
    this.#options.onOver();
  }

  #changed(): void {
    this.#breakOffInTime();
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
