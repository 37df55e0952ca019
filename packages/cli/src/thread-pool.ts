import { setThreadPoolSize } from "@culvert/peer";

/** The variable is libuv's; it counts when the first thread is needed, and never again. */
const VARIABLE = "UV_THREADPOOL_SIZE";
const THREADS = 16;

/**
 * Gives libuv more threads than its four, unless somebody said how many: half of them resolve names, and a name whose servers
 * are dead keeps one for 10 s or more. An idle thread costs next to nothing. Must run before anything uses a thread.
 */
export function raiseThreadPool(env: Record<string, string | undefined>): void {
  env[VARIABLE] ??= `${THREADS}`;
  // As libuv reads it: what is no number counts as 0, and at least one there is.
  setThreadPoolSize(Math.max(1, Number.parseInt(env[VARIABLE], 10) || 0));
}
