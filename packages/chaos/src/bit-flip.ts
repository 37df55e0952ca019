import type { FlipBit } from "./fault.ts";
import type { Random } from "./random.ts";

/**
 * Turns bits over in `chunk`, in place, and returns how many.
 * @param offset position of the chunk's first byte in its direction.
 */
export function flipBits(chunk: Uint8Array, offset: number, flip: FlipBit, random: Random): number {
  if ("atByte" in flip) {
    const index = flip.atByte - offset;
    if (index < 0 || index >= chunk.length) return 0;
    flipBit(chunk, index, random);
    return 1;
  }
  let flipped = 0;
  const first = flip.everyBytes - 1 - (offset % flip.everyBytes);
  for (let index = first; index < chunk.length; index += flip.everyBytes) {
    flipBit(chunk, index, random);
    flipped++;
  }
  return flipped;
}

function flipBit(chunk: Uint8Array, index: number, random: Random): void {
  chunk[index] = (chunk[index] as number) ^ (1 << random.between(0, 7));
}
