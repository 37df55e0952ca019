import type { Logger } from "@culvert/peer";
import type { ReadyLines } from "./ready-lines.ts";
import type { Signals } from "./signals.ts";

/** What a command that runs is given. */
export interface CommandContext {
  readonly log: Logger;
  readonly ready: ReadyLines;
  readonly signals: Signals;
  /** Program and version, told to the other side. */
  readonly agent: string;
}

/** After the drain sockets are closed, which has deadlines of its own; beyond all of them something is stuck. */
const CLOSE_MS = 10_000;

/** Waits for `closing`, but not longer than it may take: who asked the command to stop shall not have to ask twice. */
export async function withinBound(closing: Promise<void>, drainMs: number, log: Logger): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      log.warn({ drainMs }, "closing took too long, what is left is cut off");
      resolve();
    }, drainMs + CLOSE_MS);
  });
  await Promise.race([closing, late]);
  clearTimeout(timer);
}
