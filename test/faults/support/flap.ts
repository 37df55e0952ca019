import type { ChaosProxy } from "@culvert/chaos";

/**
 * Lets a link come and go by the clock, whoever is there: so long up, so long away. Resolves after `lastsMs`, with the
 * link up. (A step of a plan waits for somebody to be connected, and would cut each connection at once.)
 */
export function flap(
  proxy: ChaosProxy,
  { everyMs, lastsMs }: { readonly everyMs: number; readonly lastsMs: number },
): Promise<void> {
  return new Promise((resolve) => {
    let left = Math.round(lastsMs / everyMs);
    const timer = setInterval(() => {
      left -= 1;
      const isAway = left % 2 === 1;
      proxy.refuse(isAway);
      if (isAway) proxy.cut({ how: "rst" });
      if (left > 0) return;
      clearInterval(timer);
      resolve();
    }, everyMs);
  });
}
