import type { Socket } from "node:net";
import { flipBits } from "./bit-flip.ts";
import { DelayQueue } from "./delay-queue.ts";
import type { CutHow, ResolvedFault, ResolvedShape } from "./fault.ts";
import { type LanePhase, move } from "./lane-phase.ts";
import type { Random } from "./random.ts";
import { resetSocket } from "./reset-socket.ts";
import { Schedule } from "./schedule.ts";
import { whenDelivered } from "./send-queue.ts";
import { TokenBucket } from "./token-bucket.ts";
import { Wake } from "./wake.ts";

/** What one direction of one connection did so far. Bytes count its payload. */
export interface LaneInfo {
  readonly fault: ResolvedFault["kind"];
  readonly phase: LanePhase["name"];
  /** Taken from the source's socket. */
  readonly bytesRead: number;
  /** Written to the sink's socket. */
  readonly bytesForwarded: number;
  /** Waiting in the proxy for their time or for room. */
  readonly bytesHeld: number;
  /** Thrown away. */
  readonly bytesDropped: number;
  readonly bitsFlipped: number;
}

export interface LaneOptions {
  readonly source: Socket;
  readonly sink: Socket;
  readonly fault: ResolvedFault;
  readonly random: Random;
  /** The armed number of bytes was forwarded, and the kernel has them: cut the connection. */
  readonly onCut: (how: CutHow) => void;
  /** The lane came to "over". */
  readonly onOver: () => void;
}

/** One direction of one connection: reads one socket, writes the other, with a fault in between. Owns neither socket. */
export class Lane {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #random: Random;
  readonly #onCut: (how: CutHow) => void;
  readonly #onOver: () => void;
  readonly #queue = new DelayQueue();
  readonly #wake = new Wake(() => this.#pump());
  #phase: LanePhase = { name: "waiting" };
  #fault: ResolvedFault;
  #schedule: Schedule;
  #bucket: TokenBucket | undefined;
  /** The sink's socket asked to wait for 'drain'. */
  #blocked = false;
  #cut: { readonly at: number; readonly how: CutHow } | undefined;
  #bytesRead = 0;
  #bytesForwarded = 0;
  #bytesDropped = 0;
  #bitsFlipped = 0;

  constructor(options: LaneOptions) {
    this.#source = options.source;
    this.#sink = options.sink;
    this.#random = options.random;
    this.#onCut = options.onCut;
    this.#onOver = options.onOver;
    this.#fault = options.fault;
    this.#schedule = new Schedule(options.fault, options.random);
    this.#bucket = bucketOf(options.fault);
  }

  get info(): LaneInfo {
    return {
      fault: this.#fault.kind,
      phase: this.#phase.name,
      bytesRead: this.#bytesRead,
      bytesForwarded: this.#bytesForwarded,
      bytesHeld: this.#queue.bytes,
      bytesDropped: this.#bytesDropped,
      bitsFlipped: this.#bitsFlipped,
    };
  }

  /** True once the source has ended, whether that was passed on or not. */
  get isOver(): boolean {
    return this.#phase.name === "over";
  }

  /** True if bytes or the end of this direction were thrown away. */
  get isBroken(): boolean {
    return this.#phase.name === "discarding" || (this.#phase.name === "over" && !this.#phase.passed);
  }

  /** Both sockets are connected: begin. */
  start(): void {
    if (this.#phase.name === "waiting") this.#move({ name: "carrying" });
    this.#source.on("data", (chunk: Buffer) => this.#onData(chunk));
    this.#source.on("end", () => this.sourceEnded("fin"));
    this.#sink.on("drain", () => this.#onDrain());
    this.#flow();
    if (this.#cut?.at === 0) this.#onCut(this.#cut.how);
  }

  /** The same object as before changes nothing. */
  setFault(fault: ResolvedFault): void {
    if (fault === this.#fault) return;
    this.#fault = fault;
    this.#bucket = bucketOf(fault);
    this.#schedule = new Schedule(fault, this.#random);
    if (fault.kind === "blackhole") {
      if (this.#phase.name === "ending") this.#abandon();
      else if (this.#phase.name === "carrying" && !this.#queue.isEmpty) this.#discard();
    } else {
      this.#queue.hasten(this.#schedule.latest(performance.now()));
    }
    this.#wake.cancel();
    this.#pump();
  }

  /** Cut the connection once `bytes` more have been forwarded; the bytes behind them never are. */
  cutAfter(bytes: number, how: CutHow): void {
    this.#cut = { at: this.#bytesForwarded + bytes, how };
    if (bytes === 0 && this.#phase.name !== "waiting") this.#onCut(how);
  }

  cancelCut(): void {
    this.#cut = undefined;
  }

  /** The source said FIN, or is gone without one. */
  sourceEnded(how: CutHow): void {
    const phase = this.#phase;
    if (phase.name === "cutting" || (phase.name === "over" && !(how === "rst" && phase.passed))) return;
    if (phase.name === "discarding" || this.#fault.kind === "blackhole") {
      this.#abandon();
      return;
    }
    this.#move({ name: "ending", how, due: this.#queue.inOrder(this.#schedule.due(performance.now())) });
    this.#pump();
  }

  /** The sink is gone: nothing can be delivered any more. */
  sinkGone(): void {
    if (this.#phase.name === "ending") this.#abandon();
    else if (this.#phase.name === "carrying") this.#discard();
  }

  /** The connection was cut: forget the fault, and read on only so that the source's end is seen. */
  release(): void {
    this.#fault = { kind: "pass", queueBytes: 0 };
    if (this.#phase.name === "ending") this.#abandon();
    else if (this.#phase.name !== "over") this.#discard();
  }

  /** Clears the timer. The lane does nothing by itself from now on. */
  close(): void {
    this.#wake.close();
  }

  #onData(chunk: Buffer): void {
    this.#bytesRead += chunk.length;
    if (this.#phase.name !== "carrying") {
      this.#bytesDropped += chunk.length;
    } else if (this.#fault.kind === "blackhole") {
      this.#bytesDropped += chunk.length;
      this.#discard();
    } else if (this.#fault.kind === "pass" && this.#queue.isEmpty && !this.#blocked) {
      this.#forward(chunk);
      if (this.#blocked) this.#flow();
    } else {
      this.#queue.push(chunk, this.#schedule.due(performance.now()));
      this.#pump();
    }
  }

  #onDrain(): void {
    this.#blocked = false;
    if (this.#queue.isEmpty && this.#phase.name === "carrying") this.#flow();
    else this.#pump();
  }

  /** Writes what may leave by now, and arms the timer for what may not. */
  #pump(): void {
    if (this.#fault.kind !== "stall" && !this.#wake.isArmed) {
      const shape = this.#fault.kind === "shape" ? this.#fault : undefined;
      const corked = shape !== undefined && shape.coalesceMs > 0 && shape.slice === undefined;
      if (corked) this.#sink.cork();
      this.#writeDue(shape);
      if (corked) this.#sink.uncork();
      this.#passEnd();
    }
    this.#flow();
  }

  #writeDue(shape: ResolvedShape | undefined): void {
    for (;;) {
      const due = this.#queue.due;
      if (due === undefined || this.#blocked) return;
      const now = performance.now();
      if (due > now) {
        this.#wake.after(due - now);
        return;
      }
      let bytes = this.#queue.headBytes;
      if (shape?.slice !== undefined) {
        bytes = Math.min(bytes, this.#random.between(shape.slice.minBytes, shape.slice.maxBytes));
      }
      if (this.#bucket !== undefined) {
        const taken = this.#bucket.take(bytes, now);
        if (taken === 0) {
          this.#wake.after(this.#bucket.waitMs(bytes));
          return;
        }
        bytes = taken;
      }
      this.#forward(this.#queue.take(bytes));
      if (shape?.slice !== undefined) {
        // The reader needs a chance to see the piece alone.
        this.#wake.after(shape.slice.gapMs);
        return;
      }
    }
  }

  #forward(chunk: Buffer): void {
    if (this.#fault.kind === "shape" && this.#fault.flipBit !== undefined) {
      // In place: the chunk came fresh from a socket and nobody else has it.
      this.#bitsFlipped += flipBits(chunk, this.#bytesForwarded, this.#fault.flipBit, this.#random);
    }
    const cut = this.#cut;
    if (cut !== undefined && this.#bytesForwarded + chunk.length >= cut.at) {
      const last = chunk.subarray(0, cut.at - this.#bytesForwarded);
      this.#bytesForwarded += last.length;
      this.#bytesDropped += chunk.length - last.length;
      this.#cut = undefined;
      this.#bytesDropped += this.#queue.clear();
      this.#move({ name: "cutting" });
      this.#sink.write(last, () => this.#cutDelivered(cut.how));
      return;
    }
    this.#bytesForwarded += chunk.length;
    if (!this.#sink.write(chunk)) this.#blocked = true;
  }

  /** The kernel has the last byte; a reset would throw away what it could not send yet. */
  #cutDelivered(how: CutHow): void {
    if (how === "fin") this.#onCut(how);
    else void whenDelivered(this.#sink).then(() => this.#onCut(how));
  }

  #passEnd(): void {
    const phase = this.#phase;
    if (phase.name !== "ending" || !this.#queue.isEmpty || this.#wake.isArmed) return;
    const waitMs = phase.due - performance.now();
    if (waitMs > 0) {
      this.#wake.after(waitMs);
      return;
    }
    this.#move({ name: "over", passed: true });
    if (!this.#sink.destroyed) {
      if (phase.how === "fin") this.#sink.end();
      else resetSocket(this.#sink);
    }
    this.#onOver();
  }

  #discard(): void {
    this.#bytesDropped += this.#queue.clear();
    this.#move({ name: "discarding" });
    this.#flow();
  }

  #abandon(): void {
    this.#bytesDropped += this.#queue.clear();
    this.#move({ name: "over", passed: false });
    this.#onOver();
  }

  #move(to: LanePhase): void {
    this.#phase = move(this.#phase, to);
  }

  /** Reads the source or leaves its bytes to the kernel, whose window then holds the sender back. */
  #flow(): void {
    const reads =
      this.#fault.kind !== "stall" &&
      (this.#phase.name === "carrying" ? this.#hasRoom() : this.#phase.name === "discarding");
    if (reads !== this.#source.isPaused()) return;
    if (reads) this.#source.resume();
    else this.#source.pause();
  }

  #hasRoom(): boolean {
    return this.#queue.cost < this.#fault.queueBytes && (this.#fault.kind === "shape" || !this.#blocked);
  }
}

function bucketOf(fault: ResolvedFault): TokenBucket | undefined {
  if (fault.kind !== "shape" || fault.bytesPerSecond === Number.POSITIVE_INFINITY) return undefined;
  return new TokenBucket(fault.bytesPerSecond, performance.now());
}
