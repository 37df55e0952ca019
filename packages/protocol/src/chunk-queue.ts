/**
 * Bytes that wait in order until all are taken at once, in about as much memory as they count. All but large chunks are copied
 * into blocks that grow with what waits, so that a million writes of one byte cost a few blocks and not a million objects, a few
 * bytes cost no large block, whatever large chunks come between them, and nothing pins a large buffer that it is a small view of.
 */
export class ChunkQueue {
  #chunks: Uint8Array[] = NONE;
  #bytes = 0;
  /** The block that chunks are gathered in; its filled part is the last element of `#chunks`. */
  #block: Uint8Array | undefined;
  #blockUsed = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Memory that is kept alive, bytes. */
  get retainedBytes(): number {
    return this.#chunks.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    const isDense = chunk.length * 2 >= chunk.buffer.byteLength;
    if (isDense && chunk.length >= (this.#bytes === 0 ? LARGE_IF_ALONE_BYTES : LARGE_BYTES)) {
      this.#seal();
      this.#append(chunk);
    } else this.#gather(chunk);
    this.#bytes += chunk.length;
  }

  #gather(chunk: Uint8Array): void {
    let rest = chunk;
    while (rest.length > 0) {
      const room = (this.#block?.length ?? 0) - this.#blockUsed;
      if (this.#block === undefined || room === 0) {
        this.#begin(rest.length);
        continue;
      }
      const part = rest.length > room ? rest.subarray(0, room) : rest;
      this.#block.set(part, this.#blockUsed);
      this.#blockUsed += part.length;
      const last = this.#chunks.length - 1;
      const tail = this.#chunks[last] as Uint8Array;
      // The tail grows by what was just written; its start stays, so bytes already handed out are not touched.
      this.#chunks[last] = new Uint8Array(this.#block.buffer, tail.byteOffset, tail.length + part.length);
      rest = rest.subarray(part.length);
    }
  }

  #begin(needed: number): void {
    // As large as what waits already, so that all costs at most twice what it counts; what stands alone costs its own size.
    const most = this.#bytes === 0 ? needed : Math.max(FIRST_BLOCK_BYTES, this.#bytes, needed);
    this.#block = new Uint8Array(Math.min(most, MAX_BLOCK_BYTES));
    this.#blockUsed = 0;
    this.#append(this.#block.subarray(0, 0));
  }

  #append(chunk: Uint8Array): void {
    if (this.#chunks === NONE) this.#chunks = [];
    this.#chunks.push(chunk);
  }

  /** Nothing is gathered in the block any more; if it is mostly empty, what is in it moves out. */
  #seal(): void {
    const { length = 0 } = this.#block ?? {};
    if (this.#blockUsed * 2 < length) this.#chunks.push(new Uint8Array(this.#chunks.pop() as Uint8Array));
    this.#block = undefined;
    this.#blockUsed = 0;
  }

  /** Takes everything out as chunks, in order. */
  takeAll(): Uint8Array[] {
    this.#seal();
    const chunks = this.#chunks;
    this.clear();
    return chunks;
  }

  clear(): void {
    this.#chunks = NONE;
    this.#bytes = 0;
    this.#block = undefined;
    this.#blockUsed = 0;
  }
}

/** Of all queues that are empty: an idle stream needs no array of its own. */
const NONE: Uint8Array[] = [];
const FIRST_BLOCK_BYTES = 1024;
const MAX_BLOCK_BYTES = 16_384;
/** From here on the cost of an object of its own is small against its bytes, and copying is not. */
const LARGE_BYTES = 16_384;
/** With nothing before it: the usual case of an answer that is sent at once. */
const LARGE_IF_ALONE_BYTES = 2048;
