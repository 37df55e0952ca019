import type { Duplex } from "node:stream";
import { BLOCK_BYTES, type BlockPool, blockPool } from "./block-pool.ts";
import { type Masking, mask } from "./masking.ts";
import { MOST_HEADER_BYTES, writeMessageHeader } from "./web-socket-header.ts";

export interface WireWriterOptions {
  /** Undefined: messages are not masked, as a server's. */
  readonly masking: Masking | undefined;
  /** Does nobody read what was written once its callback ran? So it is with a socket of the kernel, and not with any Duplex. */
  readonly isReusable: boolean;
  readonly blocks?: BlockPool;
}

/**
 * Turns frames into WebSocket messages (RFC 6455 section 5.2), side by side in one block, and writes that at once: one turn of the
 * event loop makes one system call, and no object for a frame. As a rule the kernel takes all of it, and the block is used
 * again, by whoever sends next; a block that has to wait comes back when it was taken.
 */
export class WireWriter {
  readonly #socket: Duplex;
  readonly #masking: Masking | undefined;
  readonly #isReusable: boolean;
  readonly #blocks: BlockPool;
  #block: Uint8Array | undefined;
  #isPooled = false;
  #used = 0;
  /** Of blocks that wait for the kernel, in the order of their writes; undefined for a write that is not in a block. */
  #waiting: (Uint8Array | undefined)[] = [];

  constructor(socket: Duplex, options: WireWriterOptions) {
    this.#socket = socket;
    this.#masking = options.masking;
    this.#isReusable = options.isReusable;
    this.#blocks = options.blocks ?? blockPool;
  }

  /** Bytes that `flush` will write. */
  get pendingBytes(): number {
    return this.#used;
  }

  /** Copies `frame`; `flush` may be called in between. */
  append(frame: Uint8Array): void {
    const most = MOST_HEADER_BYTES + frame.length;
    if (this.#block !== undefined && this.#block.length - this.#used < most) this.flush();
    this.#block ??= this.#newBlock(most);
    const block = this.#block;
    const key = this.#masking?.nextKey();
    const at = writeMessageHeader(block, this.#used, frame.length, key);
    if (key === undefined) block.set(frame, at);
    else mask(frame, key, block, at);
    this.#used = at + frame.length;
  }

  /** Of the pool, if it has one and it is long enough; otherwise one that is written and then left to the collector. */
  #newBlock(least: number): Uint8Array {
    const block = least <= BLOCK_BYTES ? this.#blocks.take() : undefined;
    this.#isPooled = block !== undefined;
    return block ?? new Uint8Array(Math.max(SMALL_BYTES, least));
  }

  /** Gives what was appended to the socket. */
  flush(): void {
    const block = this.#block;
    if (block === undefined) return;
    const length = this.#used;
    this.#block = undefined;
    this.#used = 0;
    const isCopied = length <= SMALL_BYTES || (this.#isPooled && !this.#isReusable);
    const bytes = Buffer.from(block.buffer, block.byteOffset, length);
    this.#waiting.push(isCopied || !this.#isPooled ? undefined : block);
    this.#socket.write(isCopied ? Buffer.from(bytes) : bytes, this.#written);
    if (isCopied && this.#isPooled) this.#blocks.give(block);
    else if (this.#socket.writableLength === 0) this.#allTaken();
  }

  /** Called in order, and late for a write that was taken at once. */
  #written = (): void => {
    const block = this.#waiting.shift();
    if (block !== undefined) this.#blocks.give(block);
  };

  #allTaken(): void {
    for (const [at, block] of this.#waiting.entries()) {
      if (block !== undefined) this.#blocks.give(block);
      this.#waiting[at] = undefined;
    }
  }
}

/** Not worth to keep a block waiting for. */
const SMALL_BYTES = 8192;
