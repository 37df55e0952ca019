/**
 * Memory for large frames, used again when a frame is acknowledged: a bulk stream would otherwise make the collector
 * free a buffer of tens of KiB for each frame. Small frames get memory of their own size, so that what a frame costs is
 * what it holds.
 */
export class FramePool {
  readonly #blockBytes: number;
  readonly #most: number;
  readonly #free: Buffer[] = [];

  /** @param blockBytes Largest frame. @param most Blocks that are kept for later at the most. */
  constructor(blockBytes: number, most: number) {
    this.#blockBytes = blockBytes;
    this.#most = most;
  }

  /** Memory for a frame; not cleared. */
  allocate(length: number): Uint8Array {
    if (length * 2 <= this.#blockBytes || length > this.#blockBytes) return Buffer.allocUnsafeSlow(length);
    const block = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#blockBytes);
    return length === block.length ? block : block.subarray(0, length);
  }

  /** Takes back the memory of a frame that nobody reads any more. Frames from elsewhere are left to the collector. */
  release(frame: Uint8Array): void {
    if (frame.length * 2 <= this.#blockBytes || this.#free.length >= this.#most) return;
    if (frame.buffer.byteLength !== this.#blockBytes) return;
    // As a rule the frame is the block itself, and needs no new view.
    if (frame instanceof Buffer && frame.length === this.#blockBytes) this.#free.push(frame);
    else this.#free.push(Buffer.from(frame.buffer as ArrayBuffer, 0, this.#blockBytes));
  }
}
