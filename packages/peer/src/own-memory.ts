/**
 * Memory that has one owner, who frees it by hand: under a bulk transfer Node and ws allocate what is carried, and reusing the same
 * few blocks keeps them in the processor's cache, and the collector asleep. A buffer that was freed is empty, for everybody.
 */

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

/** `chunk` in memory of its own: in a pool of Node's it would pin what stands beside it. */
export function copyOf(chunk: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(chunk.length);
  copy.set(chunk);
  return copy;
}

/** Below this a buffer is not worth a look. */
export const LARGE_BYTES = 16_384;
