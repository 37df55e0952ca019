import { type MemoryShare, unsharedMemory } from "./memory-pool.ts";

/** What one frame costs besides its bytes: the objects around it. Keeps a flood of tiny frames within the limit. */
export const FRAME_OVERHEAD_BYTES = 160;

/** No pool gives its blocks away for less. */
const POOLED_FROM_BYTES = 128;

/** What a frame of that length will cost, as far as is known before it is made. */
export function replayCost(length: number): number {
  return length + FRAME_OVERHEAD_BYTES;
}

/** The memory that keeping `frame` retains: of the whole buffer that it stands in, which may be a pooled block. */
function frameCost(frame: Uint8Array): number {
  // Small frames stand alone or share a slab, and asking one for its buffer makes the engine move it out of the heap.
  const retained = frame.length < POOLED_FROM_BYTES ? frame.length : frame.buffer.byteLength;
  return retained + FRAME_OVERHEAD_BYTES;
}

/** Every sequenced frame that was handed to a transport and not yet acknowledged, in the order of its number. */
export class ReplayBuffer {
  #frames: Uint8Array[] = [];
  #head = 0;
  #firstSequence = 1;
  #cost = 0;
  readonly #release: ((frame: Uint8Array) => void) | undefined;
  readonly #share: MemoryShare;

  /**
   * @param release Told of each frame that is no longer needed: its memory may be used again.
   * @param share What the frames are taken from, and given back to.
   */
  constructor(release?: (frame: Uint8Array) => void, share: MemoryShare = unsharedMemory().replay) {
    this.#release = release;
    this.#share = share;
  }

  /** Number of the last frame that was ever numbered; 0 before the first. */
  get last(): number {
    return this.#firstSequence + (this.#frames.length - this.#head) - 1;
  }

  /** Number of the last frame that is no longer kept: acknowledged. */
  get acked(): number {
    return this.#firstSequence - 1;
  }

  get cost(): number {
    return this.#cost;
  }

  /** Numbers a frame; from now on its bytes may not change. */
  push(frame: Uint8Array): number {
    const cost = frameCost(frame);
    this.#frames.push(frame);
    this.#cost += cost;
    this.#share.take(cost);
    return this.last;
  }

  /** The frame with that number, which must lie in `acked + 1 .. last`. */
  frameAt(sequence: number): Uint8Array {
    const frame = this.#frames[this.#head + sequence - this.#firstSequence];
    if (frame === undefined || sequence < this.#firstSequence)
      throw new RangeError(`frame ${sequence} is not kept`);
    return frame;
  }

  /** Forgets everything up to `sequence` (at most `last`) and returns how many bytes that were. */
  ackThrough(sequence: number): number {
    let bytes = 0;
    let freed = 0;
    while (this.#firstSequence <= sequence && this.#head < this.#frames.length) {
      const frame = this.#frames[this.#head] as Uint8Array;
      freed += frameCost(frame);
      bytes += frame.length;
      this.#release?.(frame);
      this.#frames[this.#head] = EMPTY;
      this.#head += 1;
      this.#firstSequence += 1;
    }
    this.#cost -= freed;
    this.#share.take(-freed);
    if (this.#head === this.#frames.length) {
      this.#frames = [];
      this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#frames.length) {
      this.#frames = this.#frames.slice(this.#head);
      this.#head = 0;
    }
    return bytes;
  }

  clear(): void {
    this.#firstSequence = this.last + 1;
    this.#frames = [];
    this.#head = 0;
    this.#cost = 0;
  }
}

const EMPTY = new Uint8Array(0);
