const UNITS: readonly (readonly [unit: string, milliseconds: number])[] = [
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
];

/** The grammar in words, for errors and help. */
export const DURATION_GRAMMAR = "a whole number and a unit: 500ms, 10s, 2m or 1h";

/**
 * Reads a duration into milliseconds: a whole number and one of `ms`, `s`, `m`, `h`, nothing between them; `0` needs no
 * unit. Undefined for anything else: a bare `10` is 10 of what?
 */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  const match = /^([0-9]{1,15})(ms|s|m|h)$/.exec(text);
  if (match === null) return undefined;
  const [, count, unit] = match;
  const milliseconds = Number(count) * UNITS.find(([name]) => name === unit)![1];
  return Number.isSafeInteger(milliseconds) ? milliseconds : undefined;
}

/** The shortest text that {@link parseDuration} reads back: 120000 is `2m`, 90000 is `90s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds === 0) return "0s";
  const [unit, size] = UNITS.find(([, size]) => milliseconds % size === 0)!;
  return `${milliseconds / size}${unit}`;
}
