/**
 * Memory for frames. That of large ones is used again when they are acknowledged: a bulk stream would otherwise make the
 * collector free a buffer of tens of KiB for each. The smallest ones stand side by side in slabs: a buffer of its own costs the
 * engine ten times what a keystroke holds, and a link that is lost keeps thousands of them. Frames are acknowledged in order, so
 * at most a part of two slabs is kept for nothing. What lies between gets memory of its own size, so that what a frame costs is
 * what it holds. What was not needed for a while is let go: thousands of sessions that were busy once are idle now.
 */
export class FramePool {
  readonly #blockBytes: number;
  readonly #most: number;
  readonly #free: Buffer[] = [];
  /** The fewest free blocks since the last look: that many were there for nothing. */
  #unneeded = 0;
  /** Where the next small frame goes, and how much of it is taken; undefined before the first, and after a while without one. */
  #slab: Buffer | undefined;
  #slabUsed = 0;
  #wasSlabUsed = false;
  /** Small frames that are not acknowledged. A slab that they stand in is kept by them, so letting it go would free nothing. */
  #smallFrames = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param blockBytes Largest frame. @param most Blocks that are kept for later at the most. */
  constructor(blockBytes: number, most: number) {
    this.#blockBytes = blockBytes;
    this.#most = most;
  }

  /** Memory for a frame; not cleared. */
  allocate(length: number): Uint8Array {
    if (length <= SMALL_BYTES) return this.#allocateSmall(length);
    if (length * 2 <= this.#blockBytes || length > this.#blockBytes) return Buffer.allocUnsafeSlow(length);
    const block = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#blockBytes);
    if (this.#free.length < this.#unneeded) this.#unneeded = this.#free.length;
    return length === block.length ? block : block.subarray(0, length);
  }

  /** Takes back the memory of a frame that nobody reads any more. Frames from elsewhere are left to the collector. */
  release(frame: Uint8Array): void {
    // Only those of the pool are Buffers; the others come from the session.
    if (frame.length <= SMALL_BYTES && frame instanceof Buffer) this.#releaseSmall();
    if (frame.length * 2 <= this.#blockBytes || this.#free.length >= this.#most) return;
    if (frame.buffer.byteLength !== this.#blockBytes) return;
    // As a rule the frame is the block itself, and needs no new view.
    if (frame instanceof Buffer && frame.length === this.#blockBytes) this.#free.push(frame);
    else this.#free.push(Buffer.from(frame.buffer as ArrayBuffer, 0, this.#blockBytes));
    this.#lookLater();
  }

  #allocateSmall(length: number): Uint8Array {
    if (this.#slab === undefined || this.#slab.length - this.#slabUsed < length) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#slabUsed = 0;
    }
    this.#lookLater();
    const start = this.#slabUsed;
    this.#slabUsed += length;
    this.#wasSlabUsed = true;
    this.#smallFrames += 1;
    return this.#slab.subarray(start, this.#slabUsed);
  }

  #releaseSmall(): void {
    this.#smallFrames -= 1;
    if (this.#smallFrames === 0) this.#lookLater();
  }

  #lookLater(): void {
    this.#timer ??= setTimeout(this.#trim, LOOK_MS).unref();
  }

  #trim = (): void => {
    this.#timer = undefined;
    const isInUse = this.#wasSlabUsed;
    if (!isInUse && this.#smallFrames === 0) this.#slab = undefined;
    this.#wasSlabUsed = false;
    // Left to the collector: it is seldom, and nobody waits for the memory.
    this.#free.splice(0, this.#unneeded);
    this.#unneeded = this.#free.length;
    if (this.#free.length > 0 || isInUse) this.#lookLater();
  };
}

/** A keystroke with its header is 20 bytes. From 128 on a session counts the whole buffer that a frame stands in. */
const SMALL_BYTES = 127;
/** Little enough to be kept for a single frame by each of thousands of sessions that wait for their clients. */
const SLAB_BYTES = 2048;
const LOOK_MS = 2000;
