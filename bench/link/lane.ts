import type { Socket } from "node:net";
import type { Bottleneck } from "./bottleneck.ts";
import type { Loss } from "./loss.ts";

/** What waits for the bottleneck; a sender with more is held back, as a full queue at a router would by losing. */
const QUEUE_MS = 10;

export interface LaneOptions {
  readonly bottleneck: Bottleneck;
  readonly loss: Loss;
  readonly delayMs: number;
  /** Bytes of one connection that may be under way or wait for its reader. */
  readonly maxBytes: number;
  /** Nothing leaves before: the handshake of TCP takes a round trip first. */
  readonly opensAt: number;
}

interface Piece {
  /** "end": the sender's FIN; "reset": its RST. */
  readonly what: Buffer | "end" | "reset";
  readonly due: number;
}

/** One direction of one connection over a link. */
export class Lane {
  readonly #source: Socket;
  readonly #options: LaneOptions;
  #sink: Socket | undefined;
  #pieces: Piece[] = [];
  #first = 0;
  #bytes = 0;
  #lastDue = 0;
  /** A lost packet comes once more, a round trip later; what follows it is held until then. */
  #heldUntil = 0;
  #isBlocked = false;
  #timer: NodeJS.Timeout | undefined;
  #pause: NodeJS.Timeout | undefined;

  constructor(source: Socket, options: LaneOptions) {
    this.#source = source;
    this.#options = options;
    source.on("data", (chunk: Buffer) => this.#take(chunk));
    source.once("end", () => this.#push("end", performance.now()));
    source.once("close", () => {
      if (!source.readableEnded) this.#push("reset", performance.now());
    });
  }

  /** The other side is connected: what is due leaves now. */
  deliverTo(sink: Socket): void {
    this.#sink = sink;
    sink.on("drain", () => {
      this.#isBlocked = false;
      this.#pump();
    });
    this.#pump();
  }

  close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#pause);
    this.#pieces = [];
    this.#first = 0;
  }

  #take(chunk: Buffer): void {
    const { bottleneck, loss, delayMs, opensAt } = this.#options;
    const now = performance.now();
    const left = bottleneck.pass(chunk.length, Math.max(now, opensAt));
    if (loss.hits(chunk.length)) this.#heldUntil = left + 3 * delayMs;
    this.#bytes += chunk.length;
    this.#push(chunk, left);
    this.#restrain(now);
  }

  #push(what: Piece["what"], left: number): void {
    this.#lastDue = Math.max(this.#lastDue, left + this.#options.delayMs, this.#heldUntil);
    this.#pieces.push({ what, due: this.#lastDue });
    if (this.#timer === undefined) this.#pump();
  }

  /** Reads no more than the link takes. */
  #restrain(now: number): void {
    const backlogMs = this.#options.bottleneck.backlogMs(now);
    const isFull = this.#bytes > this.#options.maxBytes;
    if ((backlogMs <= QUEUE_MS && !isFull) || this.#pause !== undefined) return;
    this.#source.pause();
    const wait = isFull ? QUEUE_MS : Math.min(backlogMs - QUEUE_MS / 2, 1000);
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      if (this.#bytes <= this.#options.maxBytes) this.#source.resume();
      else this.#restrain(performance.now());
    }, wait);
  }

  /** Delivers what is due, and comes again for the rest. */
  #pump(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const sink = this.#sink;
    if (sink === undefined) return;
    // Timers are no finer than a millisecond: what is due within half of one goes now.
    const now = performance.now() + 0.5;
    sink.cork();
    for (;;) {
      const piece = this.#pieces[this.#first];
      if (piece === undefined || this.#isBlocked) break;
      if (piece.due > now) {
        this.#timer = setTimeout(() => this.#pump(), piece.due - now);
        break;
      }
      this.#first += 1;
      this.#deliver(sink, piece.what);
    }
    sink.uncork();
    if (this.#first > 512 || this.#first === this.#pieces.length) {
      this.#pieces.splice(0, this.#first);
      this.#first = 0;
    }
  }

  #deliver(sink: Socket, what: Piece["what"]): void {
    if (what === "end") sink.end();
    else if (what === "reset") sink.resetAndDestroy();
    else {
      this.#bytes -= what.length;
      if (!sink.write(what)) this.#isBlocked = true;
    }
  }
}
