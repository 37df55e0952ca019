import { until } from "./deadline.ts";

/** So many looks, each in a turn of the event loop of its own. */
const LOOKS = 100;

/**
 * What `read` gives when it has stood still: who counts it is held back. Looks are counted and not time, so that a process
 * which stood still itself is not taken for it.
 * @param lookMs Between two looks: longer where the count depends on what other processes do.
 */
export async function stillValue(read: () => number, lookMs = 5): Promise<number> {
  let value = read();
  let looks = 0;
  const isStill = (): boolean => {
    const now = read();
    looks = now === value ? looks + 1 : 0;
    value = now;
    return looks >= LOOKS;
  };
  await until(isStill, "it stands still", 60_000, lookMs);
  return value;
}
