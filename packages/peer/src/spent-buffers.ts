interface Waiting {
  readonly buffer: ArrayBuffer;
  readonly end: number;
}

/** Of all who have none: an idle connection needs no array of its own. */
const NONE: Waiting[] = [];

/**
 * Large buffers that somebody else reads in order, and that nobody needs once they were read: freed then and not when
 * the collector comes by. Under a bulk transfer Node and ws allocate two or three times what is carried; reusing the
 * same few blocks keeps them in the processor's cache, and the collector asleep.
 *
 * A buffer that was freed is empty, for everybody: whoever adds one must be the only owner of its memory.
 */
export class SpentBuffers {
  #waiting: Waiting[] = NONE;
  #first = 0;

  /** @param end Position of its last byte plus one, on the clock of the reader. Small chunks and parts are left alone. */
  add(chunk: Uint8Array, end: number): void {
    if (!isFreeable(chunk)) return;
    if (this.#waiting === NONE) this.#waiting = [];
    this.#waiting.push({ buffer: chunk.buffer as ArrayBuffer, end });
  }

  /** Everything before `position` was read. */
  freeThrough(position: number): void {
    for (;;) {
      const head = this.#waiting[this.#first];
      if (head === undefined || head.end > position) return;
      this.#first += 1;
      if (this.#first === this.#waiting.length) this.clear();
      else if (this.#first >= SPENT) {
        this.#waiting = this.#waiting.slice(this.#first);
        this.#first = 0;
      }
      free(head.buffer);
    }
  }

  /** Leaves what waits to the collector. */
  clear(): void {
    this.#waiting = NONE;
    this.#first = 0;
  }
}

/** Is it worth the while, and the whole of its memory? What is a part of a pool, or of a larger read, has other readers. */
export function isFreeable(chunk: Uint8Array): boolean {
  return chunk.length >= LARGE_BYTES && chunk.length === chunk.buffer.byteLength;
}

/** Frees the memory now: `buffer` and all views of it become empty. */
export function free(buffer: ArrayBuffer): void {
  try {
    buffer.transfer(0);
  } catch (error) {
    // Memory that its maker has locked (a pool of Node's) stays with the collector.
    if (!(error instanceof TypeError)) throw error;
  }
}

/** Below this a buffer is not worth a look. */
export const LARGE_BYTES = 16_384;
const SPENT = 64;
