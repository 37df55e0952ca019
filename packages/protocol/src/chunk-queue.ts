/**
 * Bytes waiting in order. A small chunk is copied into the last block while that has room, so that a million writes of
 * one byte cost a few blocks and not a million objects, and none of them pins the large buffer that it was a view of.
 */
export class ChunkQueue {
  #chunks: Uint8Array[] = [];
  #first = 0;
  #bytes = 0;
  /** The block that small chunks are gathered in; its filled part is the last element of `#chunks`. */
  #block: Uint8Array | undefined;
  #blockUsed = 0;

  get bytes(): number {
    return this.#bytes;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#bytes += chunk.length;
    if (chunk.length < SMALL_BYTES) this.#pushSmall(chunk);
    else {
      this.#chunks.push(chunk);
      this.#block = undefined;
    }
  }

  #pushSmall(chunk: Uint8Array): void {
    const block = this.#block;
    if (
      block !== undefined &&
      this.#blockUsed + chunk.length <= block.length &&
      this.#first < this.#chunks.length
    ) {
      block.set(chunk, this.#blockUsed);
      const last = this.#chunks.length - 1;
      const tail = this.#chunks[last] as Uint8Array;
      this.#blockUsed += chunk.length;
      // The tail grows by what was just written; its start stays, so bytes already handed out are not touched.
      this.#chunks[last] = new Uint8Array(block.buffer, tail.byteOffset, tail.length + chunk.length);
      return;
    }
    // The first small chunk stands alone (a keystroke needs no block); the second in a row starts one.
    const size = block === undefined && this.#first === this.#chunks.length ? chunk.length : BLOCK_BYTES;
    const fresh = new Uint8Array(size);
    fresh.set(chunk);
    this.#block = fresh;
    this.#blockUsed = chunk.length;
    this.#chunks.push(fresh.subarray(0, chunk.length));
  }

  /** Moves `length` bytes, at most what is queued, to `target` at `offset`. */
  takeInto(target: Uint8Array, offset: number, length: number): void {
    let at = offset;
    let left = length;
    while (left > 0) {
      const head = this.#chunks[this.#first] as Uint8Array;
      if (head.length <= left) {
        target.set(head, at);
        at += head.length;
        left -= head.length;
        this.#shift();
      } else {
        target.set(head.subarray(0, left), at);
        this.#chunks[this.#first] = head.subarray(left);
        left = 0;
      }
    }
    this.#bytes -= length;
  }

  /** Takes everything out as chunks, in order. */
  takeAll(): Uint8Array[] {
    const chunks = this.#chunks.slice(this.#first);
    this.clear();
    return chunks;
  }

  clear(): void {
    this.#chunks = [];
    this.#first = 0;
    this.#bytes = 0;
    this.#block = undefined;
  }

  #shift(): void {
    this.#chunks[this.#first] = EMPTY; // what was taken must not stay pinned behind what waits
    this.#first += 1;
    if (this.#first === this.#chunks.length) {
      this.#chunks = [];
      this.#first = 0;
      this.#block = undefined;
    } else if (this.#first >= 64) {
      this.#chunks = this.#chunks.slice(this.#first);
      this.#first = 0;
    }
  }
}

const EMPTY = new Uint8Array(0);
const SMALL_BYTES = 2048;
const BLOCK_BYTES = 16_384;
