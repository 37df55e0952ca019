import type { Socket } from "node:net";
import type { ErrorCode, Stream, StreamHandler } from "@culvert/protocol";
import { ignoreError, resetSocket } from "./carried-socket.ts";
import { DirectReader } from "./direct-read.ts";
import type { LingerRoom } from "./linger-room.ts";
import { LingeringClose } from "./lingering-close.ts";
import type { LogFields, Logger } from "./logger.ts";
import { free, isFreeable } from "./own-memory.ts";
import { giveBack } from "./received-memory.ts";
import { resetWatch } from "./reset-watch.ts";
import { WriteBuffer } from "./write-buffer.ts";

/** What became of a carried connection. */
export interface PipeResult {
  /** Why it was cut off, on whichever side; undefined: both directions ended in good order. */
  readonly code: ErrorCode | undefined;
  /** What the local socket said, if that is what cut it off. */
  readonly cause: Error | undefined;
  /** Bytes read from the socket and given to the stream. */
  readonly bytesIn: number;
  /** Bytes of the stream that the kernel took for the socket. */
  readonly bytesOut: number;
  /** From `start` on. */
  readonly durationMs: number;
}

/**
 * How long a connection may go without a byte, before it is cut off (seen at the latest after twice that). 0: for ever. Time
 * in which no byte could come does not count: while the session has no transport, or one that is too busy.
 */
export interface PipeTimeouts {
  /** Default 0. */
  readonly idleTimeoutMs?: number;
  /** When one of its directions has ended. Default 300,000 ms. */
  readonly halfClosedTimeoutMs?: number;
}

/** May be the same object for many pipes. */
export interface SocketPipeOptions {
  readonly logger: Logger;
  /** Called once, after `start`, when the stream is over and the socket is closed: nothing of either is left. */
  onDone?(result: PipeResult, about: LogFields | undefined): void;
  readonly timeouts?: PipeTimeouts;
  /** Where bytes count that are left when the stream is over. Default: the room of the process. */
  readonly lingerRoom?: LingerRoom;
}

/** What the listeners of a socket go by: functions of its own would cost each connection 300 bytes. */
const PIPE = Symbol("pipe");

interface PipedSocket extends Socket {
  [PIPE]: SocketPipe;
}

/**
 * Carries one connection: what the socket reads goes into the stream, what the stream delivers goes to the socket, end to
 * end and reset to reset, with back pressure both ways. Owns the socket from the start on.
 *
 * A byte counts as consumed when the kernel took it, so the window of the stream is the bound of what waits here. And a
 * broken connection never looks like an ended one: whatever stops short of its end is a reset on the other side.
 */
export class SocketPipe implements StreamHandler {
  static readonly #judge = (pipe: SocketPipe, limitMs: number): void => pipe.#judgeIdle(limitMs);
  static readonly #listeners = {
    data(this: PipedSocket, chunk: Uint8Array): void {
      this[PIPE].#readData(chunk);
      if (isFreeable(chunk)) free(chunk.buffer as ArrayBuffer);
      this[PIPE].#readDirectly();
    },
    end(this: PipedSocket): void {
      this[PIPE].#readEnd();
    },
    error(this: PipedSocket, error: Error): void {
      this[PIPE].#cutOff("connection_reset", error);
    },
    close(this: PipedSocket): void {
      this[PIPE].#socketClosed();
    },
  };
  static readonly #reader = new DirectReader(function (length, memory) {
    const pipe = (this as PipedSocket)[PIPE];
    const chunk = memory.subarray(0, length);
    if (pipe.#state !== "piping") {
      this.push(Buffer.from(chunk)); // to whoever closes the socket now
      return undefined;
    }
    pipe.#readData(chunk);
    pipe.#readLong(length === memory.length && !pipe.#stream!.isCrowded);
    const next = pipe.#readsLong ? LONG_READ : SHORT_READ;
    return next === memory ? undefined : next;
  });
  static #longReaders = 0;

  readonly #socket: PipedSocket;
  readonly #options: SocketPipeOptions;
  readonly #about: LogFields | undefined;
  #stream: Stream | undefined;
  /** Of the stream; the socket may still be busy with its own end after `finished` and `cut`. */
  #state: "waiting" | "piping" | "finished" | "cut" = "waiting";
  #code: ErrorCode | undefined;
  #cause: Error | undefined;
  #isSocketClosed: boolean;
  #isDone = false;
  /** Whole milliseconds: those take no memory of their own. */
  #startedAt = 0;
  #idleTimer: NodeJS.Timeout | undefined;
  /** What had moved when the idle timer last saw something move, and when that was. */
  #seen = 0;
  #seenAt = 0;

  // socket to stream
  #bytesIn = 0;
  #readsLong = false;
  #hasReadEnd = false;

  // stream to socket
  #bytesOut = 0;
  #buffer: WriteBuffer | undefined;
  /** Given to the socket and not yet taken by the kernel; while there is any, the rest waits in the buffer. */
  #inSocket: Uint8Array = EMPTY;
  /** Taken before the stream was there to be told. */
  #unclaimed = 0;
  #isEnding = false;
  /** After a reset that came behind everything: what waits here is still delivered. */
  #lingering: LingeringClose | undefined;

  /**
   * @param about Says in log lines which connection it is. Not a child logger: making one costs more than the rest of a
   * connection.
   */
  constructor(socket: Socket, options: SocketPipeOptions, about?: LogFields) {
    this.#socket = Object.assign(socket, { [PIPE]: this });
    this.#options = options;
    this.#about = about;
    // Of one that is being destroyed 'close' may come or have come; nobody needs it any more.
    this.#isSocketClosed = socket.destroyed;
    socket.on("error", SocketPipe.#listeners.error);
    socket.off("error", ignoreError);
    socket.on("close", SocketPipe.#listeners.close);
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  get bytesOut(): number {
    return this.#bytesOut;
  }

  /** Starts reading. Bytes may come out of `stream` before; they are written at once. */
  start(stream: Stream): void {
    this.#stream = stream;
    this.#startedAt = Math.floor(performance.now());
    if (this.#state === "cut") {
      // Either the stream is over already, and this does nothing, or the socket was gone before there was a stream.
      stream.reset(this.#code ?? "connection_reset");
      this.#settle();
      return;
    }
    this.#state = "piping";
    if (this.#socket.destroyed) {
      this.#cutOff("connection_reset", this.#socket.errored ?? undefined);
      return;
    }
    if (this.#unclaimed > 0) stream.consumed(this.#unclaimed);
    // Of what was read before, and where direct reads cannot be.
    this.#socket.on("data", SocketPipe.#listeners.data);
    this.#readDirectly();
    this.#socket.on("end", SocketPipe.#listeners.end);
    this.#socket.resume();
    this.#armIdleTimer();
  }

  // -- socket to stream

  #readDirectly(): void {
    if (this.#state === "piping") SocketPipe.#reader.start(this.#socket, SHORT_READ);
  }

  #readData(chunk: Uint8Array): void {
    this.#bytesIn += chunk.length;
    if (this.#stream!.write(chunk)) return;
    this.#socket.pause();
    resetWatch.watch(this.#socket, SocketPipe.#listeners.error);
  }

  /** The next read may be long, if it helps. Few may: who stops reading in the middle has as much in memory. */
  #readLong(isOfUse: boolean): void {
    if (this.#readsLong === isOfUse || (isOfUse && SocketPipe.#longReaders === MOST_LONG_READERS)) return;
    this.#readsLong = isOfUse;
    SocketPipe.#longReaders += isOfUse ? 1 : -1;
  }

  onWritable(): void {
    if (this.#state !== "piping" || this.#hasReadEnd) return;
    resetWatch.unwatch(this.#socket);
    this.#socket.resume();
  }

  #readEnd(): void {
    this.#hasReadEnd = true;
    if (this.#state !== "piping") return;
    resetWatch.watch(this.#socket, SocketPipe.#listeners.error);
    this.#stream!.end();
    if (!this.#isEnding) this.#armIdleTimer();
  }

  #socketClosed(): void {
    const isWhole = this.#hasReadEnd && this.#socket.writableFinished;
    this.#isSocketClosed = true;
    if (!isWhole) this.#cutOff("connection_reset");
    this.#buffer?.clear();
    this.#forgetSocket();
    this.#settle();
  }

  // -- stream to socket

  onData(chunk: Uint8Array): void {
    if (this.#state === "cut") return;
    if (this.#inSocket.length === 0) this.#write(chunk);
    else {
      this.#buffer ??= new WriteBuffer();
      if (!this.#buffer.push(chunk)) giveBack(chunk);
    }
  }

  onEnd(): void {
    if (this.#state === "cut") return;
    this.#isEnding = true;
    if (this.#inSocket.length === 0) this.#socket.end();
    if (!this.#hasReadEnd) this.#armIdleTimer();
  }

  /** Returns false when the kernel did not take all of it at once. */
  #write(block: Uint8Array): boolean {
    this.#inSocket = block;
    this.#socket.write(block, this.#onWritten);
    if (this.#socket.writableLength > 0) return false;
    this.#countTaken();
    return true;
  }

  /** Also called, late, for writes that were taken at once; then it finds nothing to do. */
  #onWritten = (error?: Error | null): void => {
    if (error || this.#inSocket.length === 0 || this.#socket.writableLength > 0) return;
    if (this.#state === "cut" && this.#lingering === undefined) return;
    this.#countTaken();
    for (let block = this.#buffer?.take(); block !== undefined; block = this.#buffer?.take()) {
      if (!this.#write(block)) return;
    }
    if (this.#isEnding) this.#socket.end();
  };

  get #waitingBytes(): number {
    return this.#buffer?.bytes ?? 0;
  }

  #countTaken(): void {
    const block = this.#inSocket;
    const bytes = block.length; // the block may be empty when it was given back
    this.#inSocket = EMPTY;
    giveBack(block);
    this.#bytesOut += bytes;
    if (this.#lingering !== undefined) this.#lingering.holds(this.#waitingBytes);
    else if (this.#stream === undefined) this.#unclaimed += bytes;
    else this.#stream.consumed(bytes);
  }

  // -- the end

  onReset(code: ErrorCode, receivedAll: boolean): void {
    if (this.#state === "cut") return;
    this.#state = "cut";
    this.#code = code;
    this.#forgetSocket();
    if (receivedAll && !this.#socket.destroyed) this.#leaveRest(code === "connection_reset");
    else this.#drop();
    this.#settle();
  }

  onFinished(): void {
    if (this.#state === "cut") return;
    this.#state = "finished";
    this.#armIdleTimer(); // by another clock from now on
    this.#settle();
  }

  /** The local side broke, or waited long enough. */
  #cutOff(code: ErrorCode, cause?: Error): void {
    if (this.#state === "cut") return;
    this.#state = "cut";
    this.#code = code;
    this.#cause = cause;
    const { code: system } = (cause ?? {}) as NodeJS.ErrnoException;
    this.#options.logger.debug({ ...this.#about, code, system }, "connection cut off on this side");
    this.#forgetSocket();
    this.#drop();
    this.#stream?.reset(code);
    this.#settle();
  }

  /** The other side broke after all of its bytes were here: they still reach the socket. */
  #leaveRest(reset: boolean): void {
    this.#lingering = new LingeringClose(this.#socket, {
      reset,
      // What is in the socket keeps all of its memory alive, also where it is a view of a larger read.
      heldBytes: this.#waitingBytes + this.#inSocket.buffer.byteLength,
      ...(this.#options.lingerRoom === undefined ? {} : { room: this.#options.lingerRoom }),
    });
  }

  #drop(): void {
    this.#buffer?.clear();
    resetSocket(this.#socket);
  }

  #forgetSocket(): void {
    this.#readLong(false);
    clearTimeout(this.#idleTimer);
    resetWatch.unwatch(this.#socket);
    this.#socket.off("data", SocketPipe.#listeners.data);
  }

  #settle(): void {
    const isStreamOver = this.#state === "finished" || this.#state === "cut";
    if (this.#isDone || this.#stream === undefined || !isStreamOver || !this.#isSocketClosed) return;
    this.#isDone = true;
    const { bytesIn, bytesOut } = this;
    const durationMs = Math.floor(performance.now()) - this.#startedAt;
    this.#options.onDone?.(
      { code: this.#code, cause: this.#cause, bytesIn, bytesOut, durationMs },
      this.#about,
    );
  }

  // -- idle and forgotten

  #armIdleTimer(): void {
    clearTimeout(this.#idleTimer);
    const { idleTimeoutMs = 0, halfClosedTimeoutMs = HALF_CLOSED_TIMEOUT_MS } = this.#options.timeouts ?? {};
    const limitMs = this.#hasReadEnd || this.#isEnding ? halfClosedTimeoutMs : idleTimeoutMs;
    if (limitMs === 0 || this.#isSocketClosed) return;
    this.#seen = this.#moved;
    this.#seenAt = this.#clock();
    this.#idleTimer = setTimeout(SocketPipe.#judge, limitMs, this, limitMs);
  }

  #judgeIdle(limitMs: number): void {
    if (this.#hasReadEnd && this.#socket.writableFinished) return;
    const isHeldUp = this.#state === "piping" && this.#stream!.isSendable;
    if (isHeldUp || this.#seen !== this.#moved) {
      this.#armIdleTimer();
      return;
    }
    const leftMs = limitMs - (this.#clock() - this.#seenAt);
    if (leftMs <= 0) this.#cutOff("idle_timeout");
    // While the clock stands still, not every millisecond.
    else {
      const nextMs = Math.max(leftMs, limitMs / MOST_LOOKS);
      this.#idleTimer = setTimeout(SocketPipe.#judge, nextMs, this, limitMs);
    }
  }

  /** Grows with each byte that is read, leaves for the peer, or is taken by the kernel. */
  get #moved(): number {
    return 2 * this.#bytesIn - (this.#stream?.writableBytes ?? 0) + this.#bytesOut;
  }

  /** Of the session while the peer is waited for; afterwards only the reader here is. */
  #clock(): number {
    const now = performance.now();
    return this.#state === "piping" ? this.#stream!.attachedMs(now) : now;
  }
}

const EMPTY = new Uint8Array(0);
/**
 * What all sockets read into, one after the other. A long read costs a quarter of the system calls of four short ones, and what is
 * copied out of it at once does not leave the processor's cache; one that may have to wait is short.
 */
const LONG_READ = new Uint8Array(262_144);
const SHORT_READ = LONG_READ.subarray(0, 65_536);
const MOST_LONG_READERS = 16;
const HALF_CLOSED_TIMEOUT_MS = 300_000;
const MOST_LOOKS = 8;
