/** Where the memory of frames comes from, and goes back to. */
export interface FrameMemory {
  /** Memory for a frame of exactly `length` bytes; it need not be cleared. */
  allocate(length: number): Uint8Array;
  /** Nobody reads or writes the memory of `frame` any more: of one that was allocated, or one that the session made itself. */
  release(frame: Uint8Array): void;
}

/** Leaves everything to the collector. */
export const collectedMemory: FrameMemory = {
  allocate: (length) => new Uint8Array(length),
  release: () => {},
};
