/**
 * Bytes that wait for a slow reader, in order. What it holds costs about what it counts: small chunks are gathered into
 * blocks, so that 200,000 chunks of one byte are a handful of objects, and a chunk that is a small view of a large buffer
 * is copied, so that it does not pin the rest. Large chunks are kept as they are. Not bounded by itself: the window of the
 * stream bounds it.
 */
export class WriteBuffer {
  #blocks: Uint8Array[] = NONE;
  #first = 0;
  /** The block that is being filled; always the last. */
  #open: Uint8Array | undefined;
  #used = 0;
  #bytes = 0;

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Blocks that they are in. */
  get blocks(): number {
    return this.#blocks.length - this.#first + (this.#open === undefined ? 0 : 1);
  }

  /** Memory that the blocks keep alive, bytes. */
  get retainedBytes(): number {
    return this.#blocks.reduce((sum, { buffer }) => sum + buffer.byteLength, this.#open?.length ?? 0);
  }

  /** Adds a chunk, which must not change any more. Returns whether it was kept; if not, it was copied and is not needed. */
  push(chunk: Uint8Array): boolean {
    if (chunk.length === 0) return false;
    this.#bytes += chunk.length;
    const isKept = chunk.length >= LARGE_BYTES && chunk.length * 2 >= chunk.buffer.byteLength;
    if (isKept) {
      this.#seal();
      this.#append(chunk);
    } else this.#gather(chunk);
    return isKept;
  }

  /** Takes the first block out, of {@link MAX_BLOCK_BYTES} or one large chunk at the most; undefined when empty. */
  take(): Uint8Array | undefined {
    if (this.#first === this.#blocks.length) this.#seal();
    const block = this.#blocks[this.#first];
    if (block === undefined) return undefined;
    this.#blocks[this.#first] = EMPTY; // what was taken must not stay pinned before what always waits
    this.#first += 1;
    this.#bytes -= block.length;
    if (this.#first === this.#blocks.length) {
      this.#blocks = NONE;
      this.#first = 0;
    } else if (this.#first >= SPENT) {
      this.#blocks = this.#blocks.slice(this.#first);
      this.#first = 0;
    }
    return block;
  }

  clear(): void {
    this.#blocks = NONE;
    this.#first = 0;
    this.#open = undefined;
    this.#bytes = 0;
  }

  #gather(chunk: Uint8Array): void {
    let rest = chunk;
    while (rest.length > 0) {
      const room = (this.#open?.length ?? 0) - this.#used;
      if (this.#open === undefined || room === 0) {
        this.#begin(rest.length);
        continue;
      }
      const part = rest.length > room ? rest.subarray(0, room) : rest;
      this.#open.set(part, this.#used);
      this.#used += part.length;
      rest = rest.subarray(part.length);
    }
  }

  /** Blocks grow with what waits, so that a thousand connections with a few bytes each do not cost 64 MiB. */
  #begin(needed: number): void {
    const grown = Math.max(FIRST_BLOCK_BYTES, (this.#open?.length ?? 0) * 2, needed);
    this.#seal();
    this.#open = Buffer.allocUnsafeSlow(Math.min(grown, MAX_BLOCK_BYTES));
    this.#used = 0;
  }

  #seal(): void {
    const open = this.#open;
    if (open === undefined) return;
    const filled = open.subarray(0, this.#used);
    // Whoever gets the block may hold on to it: do not let a few bytes keep a whole block alive.
    this.#append(this.#used * 2 < open.length ? new Uint8Array(filled) : filled);
    this.#open = undefined;
    this.#used = 0;
  }

  #append(block: Uint8Array): void {
    if (this.#blocks === NONE) this.#blocks = [];
    this.#blocks.push(block);
  }
}

/** Of all buffers that are empty: an idle connection needs no array of its own. */
const NONE: Uint8Array[] = [];
const EMPTY = new Uint8Array(0);
const SPENT = 64;

const FIRST_BLOCK_BYTES = 1024;
/** Largest block of gathered chunks: one write of this size keeps the kernel busy for a while. */
const MAX_BLOCK_BYTES = 65_536;
/** From here on the cost of an object of its own is small against its bytes, and copying is not. */
const LARGE_BYTES = 16_384;
