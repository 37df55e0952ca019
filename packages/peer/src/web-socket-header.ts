/**
 * Writes the header of a binary message of `length` bytes in one frame (RFC 6455 section 5.2) to `target` at `at`; with `key`, of
 * a masked one. Returns where the message goes.
 */
export function writeMessageHeader(
  target: Uint8Array,
  at: number,
  length: number,
  key: Uint8Array | undefined,
): number {
  const masked = key === undefined ? 0 : 0x80;
  let next = at;
  target[next++] = FINAL_BINARY;
  if (length < 126) target[next++] = masked | length;
  else if (length < 65_536) {
    target[next++] = masked | 126;
    target[next++] = length >>> 8;
    target[next++] = length;
  } else {
    target[next++] = masked | 127;
    for (let shift = 56; shift >= 0; shift -= 8) target[next++] = shift > 31 ? 0 : length >>> shift;
  }
  if (key === undefined) return next;
  target.set(key, next);
  return next + 4;
}

export const MOST_HEADER_BYTES = 14;
const FINAL_BINARY = 0x82;
