/**
 * Large blocks of memory that transports read into and write from, used again and again. What was read into one is handed on as
 * views, so it comes back when the last of them was given back; those that never are, are the collector's.
 */
export class BlockPool {
  readonly #most: number;
  readonly #free: Uint8Array[] = [];
  #count = 0;
  readonly #collected = new FinalizationRegistry(() => {
    this.#count -= 1;
  });

  /** @param most Blocks that exist at once, in use or not. */
  constructor(most: number = MOST_BLOCKS) {
    this.#most = most;
  }

  /** A block whose memory nobody else uses; undefined when there are too many. */
  take(): Uint8Array | undefined {
    const block = this.#free.pop();
    if (block !== undefined || this.#count >= this.#most) return block;
    this.#count += 1;
    const made = new Uint8Array(BLOCK_BYTES);
    this.#collected.register(made.buffer, undefined);
    return made;
  }

  /** Takes a block back, of which nobody uses a view any more. */
  give(block: Uint8Array): void {
    if (this.#free.length < MOST_FREE) this.#free.push(block);
  }
}

/** Four frames of 64 KiB with their headers, which leave together: a block that cuts the last one makes the WebSocket join it. */
export const BLOCK_BYTES = 266_240;
/** A slow reader keeps the block that the kernel is taking its bytes from: at most 17 MB of them. */
const MOST_BLOCKS = 64;
const MOST_FREE = 4;

/** Of all transports. Readers keep theirs for a while, and must leave some to those who write. */
export const readBlocks: BlockPool = new BlockPool();
export const writeBlocks: BlockPool = new BlockPool();
