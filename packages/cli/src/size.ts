const UNITS: readonly (readonly [unit: string, bytes: number])[] = [
  ["GiB", 2 ** 30],
  ["MiB", 2 ** 20],
  ["KiB", 2 ** 10],
];

/** The grammar in words, for errors and help. */
export const SIZE_GRAMMAR = "a whole number of bytes, or of KiB, MiB or GiB: 65536, 64KiB, 16MiB";

/**
 * Reads a size into bytes: a whole number, alone or with `KiB`, `MiB` or `GiB` right behind it. Undefined for anything
 * else: `K`, `kB` and `G` mean 1000 to some and 1024 to others. Beyond 2^53 it is about right.
 */
export function parseSize(text: string): number | undefined {
  const match = /^([0-9]{1,15})(KiB|MiB|GiB)?$/.exec(text);
  if (match === null) return undefined;
  const [, count, unit] = match;
  return Number(count) * (UNITS.find(([name]) => name === unit)?.[1] ?? 1);
}

/** The shortest text that {@link parseSize} reads back: 65536 is `64KiB`, 1000 is `1000`. */
export function formatSize(bytes: number): string {
  const unit = UNITS.find(([, size]) => bytes >= size && bytes % size === 0);
  return unit === undefined ? String(bytes) : `${bytes / unit[1]}${unit[0]}`;
}
