import { setTimeout as pause } from "node:timers/promises";

const PATIENCE_MS = 15_000;
const LOOK_MS = 5;

/** What a look was good for: neither nothing nor `false`. */
type Found<T> = Exclude<T, false | null | undefined>;

/**
 * The first truthy answer of `probe`, asked again and again. For what stays true once it is: of what may pass between
 * two looks an event has to tell.
 * @param lookMs Between two questions.
 * @throws Error naming `what` when there is none.
 */
export async function until<T>(
  probe: () => T | Promise<T>,
  what: string,
  patienceMs = PATIENCE_MS,
  lookMs = LOOK_MS,
): Promise<Found<T>> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const answer = await probe();
    if (answer) return answer as Found<T>;
    if (performance.now() > deadline) throw new Error(`after ${patienceMs} ms still not: ${what}`);
    await pause(lookMs);
  }
}

/** The value of `promise`. @throws Error naming `what` when it takes too long. */
export async function soon<T>(promise: Promise<T>, what: string, patienceMs = PATIENCE_MS): Promise<T> {
  const done = new AbortController();
  const late = pause(patienceMs, undefined, { signal: done.signal }).then(
    () => {
      throw new Error(`after ${patienceMs} ms still not: ${what}`);
    },
    () => new Promise<never>(() => undefined),
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    done.abort();
  }
}

/** What `attempt` gives, made again and again until it does not fail. @throws Error naming `what` when it takes too long. */
export async function persistently<T>(
  attempt: () => Promise<T>,
  what: string,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await attempt();
    } catch (cause) {
      if (performance.now() > deadline)
        throw new Error(`after ${patienceMs} ms still not: ${what}`, { cause });
      await pause(LOOK_MS);
    }
  }
}
