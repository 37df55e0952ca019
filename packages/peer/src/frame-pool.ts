/**
 * Memory for large frames, used again when a frame is acknowledged: a bulk stream would otherwise make the collector
 * free a buffer of tens of KiB for each frame. Small frames get memory of their own size, so that what a frame costs is
 * what it holds. What was not needed for a while is let go, since thousands of sessions that were busy once are idle now.
 */
export class FramePool {
  readonly #blockBytes: number;
  readonly #most: number;
  readonly #free: Buffer[] = [];
  /** The fewest free blocks since the last look: that many were there for nothing. */
  #unneeded = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param blockBytes Largest frame. @param most Blocks that are kept for later at the most. */
  constructor(blockBytes: number, most: number) {
    this.#blockBytes = blockBytes;
    this.#most = most;
  }

  /** Memory for a frame; not cleared. */
  allocate(length: number): Uint8Array {
    if (length * 2 <= this.#blockBytes || length > this.#blockBytes) return Buffer.allocUnsafeSlow(length);
    const block = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#blockBytes);
    if (this.#free.length < this.#unneeded) this.#unneeded = this.#free.length;
    return length === block.length ? block : block.subarray(0, length);
  }

  /** Takes back the memory of a frame that nobody reads any more. Frames from elsewhere are left to the collector. */
  release(frame: Uint8Array): void {
    if (frame.length * 2 <= this.#blockBytes || this.#free.length >= this.#most) return;
    if (frame.buffer.byteLength !== this.#blockBytes) return;
    // As a rule the frame is the block itself, and needs no new view.
    if (frame instanceof Buffer && frame.length === this.#blockBytes) this.#free.push(frame);
    else this.#free.push(Buffer.from(frame.buffer as ArrayBuffer, 0, this.#blockBytes));
    this.#timer ??= setTimeout(this.#trim, LOOK_MS).unref();
  }

  #trim = (): void => {
    // Left to the collector, not freed by hand: a peer may acknowledge what it was not sent, and the kernel reads it then.
    this.#free.splice(0, this.#unneeded);
    this.#unneeded = this.#free.length;
    this.#timer = this.#free.length === 0 ? undefined : setTimeout(this.#trim, LOOK_MS).unref();
  };
}

const LOOK_MS = 2000;
