import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 10;

export interface UntilOptions {
  readonly withinMs?: number;
  /** Between two questions. */
  readonly pollMs?: number;
}

/**
 * Resolves with the first truthy answer of `probe`, asked again and again. For what tells of itself by no event: figures
 * of a process, a port that opens.
 * @throws Error naming `what` when there is none in time, with the error of the last probe as its cause.
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  { withinMs = 15_000, pollMs = POLL_MS }: UntilOptions = {},
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = performance.now() + withinMs;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await probe();
      if (answer) return answer as Exclude<T, false | null | undefined>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`not within ${withinMs} ms: ${what}`, { cause });
    }
    await sleep(pollMs);
  }
}

/** `promise`, or an error naming `what` when it does not settle in time. */
export async function within<T>(what: string, promise: Promise<T>, withinMs = 15_000): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`not within ${withinMs} ms: ${what}`)), withinMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
