import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { type BlockPool, readBlocks } from "./block-pool.ts";
import { DirectReader } from "./direct-read.ts";
import { copyOf, LARGE_BYTES } from "./own-memory.ts";
import { doneReading, type ReceivedMemory } from "./received-memory.ts";

const READS = Symbol("reads");

interface ReadSocket extends Socket {
  [READS]: TransportReads;
}

/**
 * How the socket below a WebSocket is read: little at a time into memory that all of them share, from where it is copied; in a bulk
 * transfer as much as there is, into blocks that are handed on as they are. What was read is pushed into the socket's own stream, so its
 * listeners hear it as ever.
 *
 * TLS gives a record of 16 KiB at a time, however much there is. Long ones are gathered in the block until the event loop has
 * read all there was: a message that comes in one piece need not be joined.
 */
export class TransportReads {
  static readonly #reader = new DirectReader(function (length, memory) {
    return (this as ReadSocket)[READS].#read(length, memory);
  });

  readonly #socket: Socket;
  readonly #isTls: boolean;
  readonly #received: ReceivedMemory;
  readonly #blocks: BlockPool;
  /** What is read into; undefined: the memory that all share. */
  #block: Uint8Array | undefined;
  /** Of the block: what was gathered and not handed on, and where the next read goes. */
  #from = 0;
  #to = 0;
  #shortReads = 0;

  constructor(socket: Socket, received: ReceivedMemory, blocks: BlockPool = readBlocks) {
    this.#socket = socket;
    this.#isTls = socket instanceof TLSSocket;
    this.#received = received;
    this.#blocks = blocks;
    if (!TransportReads.#reader.start(socket, SHARED)) return;
    Object.assign(socket, { [READS]: this });
    // Before ws hears of it: what was gathered came before the end.
    socket.prependListener("end", () => this.#handOnLast());
    socket.once("close", () => this.#leaveBlock());
  }

  #read(length: number, memory: Uint8Array): Uint8Array | undefined {
    const isLong = length >= (this.#isTls ? LONG_RECORD_BYTES : LARGE_BYTES);
    if (this.#block === undefined) {
      this.#socket.push(copyOf(memory.subarray(0, length)));
      return length === memory.length || (this.#isTls && isLong) ? this.#enterBlock() : undefined;
    }
    const isFirst = this.#from === this.#to;
    if (isFirst && !isLong) return this.#readShort(memory, length);
    this.#shortReads = 0;
    this.#to += length;
    if (this.#isTls && isLong && this.#block.length - this.#to >= TLS_RECORD_BYTES) {
      if (isFirst) setImmediate(this.#handOn);
      return this.#block.subarray(this.#to);
    }
    this.#handOn();
    this.#leaveBlock();
    return this.#enterBlock() ?? SHARED;
  }

  /** A block waits for the rest of a transfer, and not for the keystrokes after it. */
  #readShort(memory: Uint8Array, length: number): Uint8Array | undefined {
    this.#socket.push(copyOf(memory.subarray(0, length)));
    this.#shortReads += 1;
    if (this.#shortReads < MOST_SHORT_READS) return undefined;
    this.#shortReads = 0;
    this.#leaveBlock();
    return SHARED;
  }

  #handOn = (): void => {
    const socket = this.#socket;
    const chunk = this.#takeGathered();
    if (chunk === undefined || socket.destroyed) return;
    const isPassedOn = socket.readableFlowing === true && socket.readableLength === 0;
    socket.push(isPassedOn ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length) : copyOf(chunk));
  };

  /** The stream of the socket takes nothing any more. */
  #handOnLast(): void {
    const chunk = this.#takeGathered();
    if (chunk !== undefined) this.#socket.emit("data", copyOf(chunk));
  }

  #takeGathered(): Uint8Array | undefined {
    if (this.#block === undefined || this.#from === this.#to) return undefined;
    const chunk = this.#block.subarray(this.#from, this.#to);
    this.#from = this.#to;
    return chunk;
  }

  #enterBlock(): Uint8Array | undefined {
    this.#block = this.#blocks.take();
    this.#from = 0;
    this.#to = 0;
    if (this.#block !== undefined) this.#received.reading(this.#block, this.#blocks);
    return this.#block;
  }

  #leaveBlock(): void {
    const block = this.#block;
    this.#block = undefined;
    if (block !== undefined) doneReading(block);
  }
}

/** What all transports read into in turn. */
const SHARED = new Uint8Array(65_536);
/** The most that TLS gives at a time (RFC 8446 section 5.1); from what on there is likely more. */
const TLS_RECORD_BYTES = 16_384;
const LONG_RECORD_BYTES = 8192;
const MOST_SHORT_READS = 4;
