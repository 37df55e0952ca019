/** The grammar of times in words. */
export const TIME_GRAMMAR = "a whole number and a unit: 500ms, 10s or 2m";
/** And of sizes. */
export const SIZE_GRAMMAR = "a whole number of bytes, KiB or MiB: 1, 64KiB or 2MiB";

const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };
const BYTES: Readonly<Record<string, number>> = { "": 1, KiB: 1_024, MiB: 1_048_576 };

/** Reads a time, in ms; undefined for anything else. */
export function parseTime(text: string): number | undefined {
  const [, count, unit] = /^([0-9]{1,9})(ms|s|m)$/.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) * MILLISECONDS[unit as string]!;
}

/** Reads a number of bytes; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const [, count, unit] = /^([0-9]{1,9})(KiB|MiB)?$/.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) * BYTES[unit ?? ""]!;
}

export function timeText(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${Number((ms / 1_000).toFixed(1))} s`;
}

export function sizeText(bytes: number): string {
  if (bytes < 1_024) return `${bytes} bytes`;
  if (bytes < 1_048_576) return `${(bytes / 1_024).toFixed(1)} KiB`;
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}
