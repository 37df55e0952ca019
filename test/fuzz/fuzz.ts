/** One thing that is fed with bad input, round after round; what a round does follows from the seed and its number. */
export interface Fuzz extends AsyncDisposable {
  readonly name: string;
  /** @throws Error, or rejects, when something happened that must not. */
  round(number: number): void | Promise<void>;
  /** Looks at what may only be seen from time to time, such as memory. */
  inspect?(): Promise<void>;
}

const INSPECT_EVERY_MS = 10_000;

/** Plays rounds until the time is over. Returns how many. @throws Error naming the round that failed. */
export async function playFor(fuzz: Fuzz, milliseconds: number): Promise<number> {
  const end = performance.now() + milliseconds;
  let inspectAt = performance.now() + INSPECT_EVERY_MS;
  let number = 0;
  for (; performance.now() < end; number += 1) {
    try {
      await fuzz.round(number);
      if (performance.now() < inspectAt) continue;
      inspectAt = performance.now() + INSPECT_EVERY_MS;
      await fuzz.inspect?.();
    } catch (cause) {
      throw new Error(`${fuzz.name}: round ${number} failed: ${String(cause)}`, { cause });
    }
  }
  await fuzz.inspect?.();
  return number;
}
