import type { Duplex } from "node:stream";
import { BLOCK_BYTES, type BlockPool, writeBlocks } from "./block-pool.ts";
import { type Masking, mask } from "./masking.ts";
import { copyOf, free, isFreeable } from "./own-memory.ts";
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
  #used = 0;
  /** What writes that wait for the kernel stand in, in their order; undefined: in nothing that is worth to be kept. */
  #waiting: (Uint8Array | undefined)[] = [];

  constructor(socket: Duplex, options: WireWriterOptions) {
    this.#socket = socket;
    this.#masking = options.masking;
    this.#isReusable = options.isReusable;
    this.#blocks = options.blocks ?? writeBlocks;
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

  /** Of the pool, if it has one and it is long enough; otherwise one for a single message, which is freed when it was written. */
  #newBlock(least: number): Uint8Array {
    const block = least <= BLOCK_BYTES ? this.#blocks.take() : undefined;
    return block ?? Buffer.allocUnsafeSlow(least);
  }

  /** Gives what was appended to the socket. */
  flush(): void {
    const block = this.#block;
    if (block === undefined) return;
    const length = this.#used;
    this.#block = undefined;
    this.#used = 0;
    const isCopied = isPooled(block) && this.#isBetterCopied(length);
    const bytes = Buffer.from(block.buffer, block.byteOffset, length);
    const written = isCopied ? copyOf(bytes) : bytes;
    this.#waiting.push(this.#isReusable ? (isCopied ? written : block) : undefined);
    this.#socket.write(written, this.#written);
    if (isCopied) this.#blocks.give(block);
    else this.settle();
  }

  /** Whether the kernel has everything is seen at once, before it is told: then nothing waits, and the blocks are free. */
  settle(): void {
    if (this.#socket.writableLength > 0) return;
    for (const [at, memory] of this.#waiting.entries()) {
      this.#waiting[at] = undefined;
      if (memory !== undefined) this.#letGo(memory);
    }
  }

  /** A block that will wait should be full of what waits in it. */
  #isBetterCopied(length: number): boolean {
    if (!this.#isReusable || length <= SMALL_BYTES) return true;
    return this.#socket.writableLength > 0 && length * 2 < BLOCK_BYTES;
  }

  /** Called in order, and late for a write that was taken at once. */
  #written = (): void => {
    const memory = this.#waiting.shift();
    if (memory !== undefined) this.#letGo(memory);
  };

  #letGo(memory: Uint8Array): void {
    if (isPooled(memory)) this.#blocks.give(memory);
    else if (isFreeable(memory)) free(memory.buffer as ArrayBuffer);
  }
}

/** Is it a block of the pool, and not memory of another size for one message? */
function isPooled(memory: Uint8Array): boolean {
  return memory.length === BLOCK_BYTES;
}

/** Not worth to keep a block waiting for. */
const SMALL_BYTES = 8192;
