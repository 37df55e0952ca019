import type { Settings } from "../settings.ts";
import { connected, oneByte } from "../visitor.ts";
import type { Step } from "./step.ts";

const AT_ONCE = [1, 16, 128] as const;

/** Connections a second: each is opened, carries one byte there and back, and is closed; the next begins at once. */
export async function connectionRate(
  port: number,
  atOnce: number,
  seconds: number,
  signal: AbortSignal,
): Promise<number> {
  const start = performance.now();
  const end = start + seconds * 1000;
  let count = 0;
  const visit = async (): Promise<void> => {
    while (performance.now() < end) {
      const socket = await connected(port, signal);
      try {
        await oneByte(socket);
      } finally {
        socket.resume();
        socket.destroySoon(); // as close(2) does: the other side's FIN is not waited for
      }
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, visit));
  return count / ((performance.now() - start) / 1000);
}

export function connectionSteps({ seconds }: Settings): Step[] {
  return AT_ONCE.map((atOnce) => ({
    figures: [
      {
        id: `connections-${atOnce}`,
        measure: "connections",
        section: "New connections: connect, one byte there and back, close",
        title: `${atOnce} at a time`,
        unit: "1/s",
        better: "higher",
        digits: 0,
      },
    ],
    seconds,
    maxSeconds: seconds + 20,
    run: async (context) => [
      await connectionRate((await context.tunnel()).ports.echo, atOnce, seconds, context.signal),
    ],
  }));
}
