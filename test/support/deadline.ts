import { setTimeout as pause } from "node:timers/promises";

const PATIENCE_MS = 15_000;
const LOOK_MS = 5;

/** Waits until `holds` is true, looking every few milliseconds. @throws Error naming `what` when it never is. */
export async function until(holds: () => boolean, what: string, patienceMs = PATIENCE_MS): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`after ${patienceMs} ms still not: ${what}`);
    await pause(LOOK_MS);
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
  what: string,
  attempt: () => Promise<T>,
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
