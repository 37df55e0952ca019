import { setTimeout as sleep } from "node:timers/promises";
import { bulk } from "../iperf.ts";
import type { Settings } from "../settings.ts";
import { quantile } from "../statistics.ts";
import type { TargetPorts } from "../targets.ts";
import { connected, oneByte } from "../visitor.ts";
import type { Figure } from "./figure.ts";
import type { Step } from "./step.ts";

/** No more than this many; a loop with nothing in between would only repeat itself. */
const MOST_ROUND_TRIPS = 5_000;
/** Until a bulk stream has filled what there is to fill. */
const RAMP_SECONDS = 0.5;
const IPERF_SECONDS = 0.5;

function figures(id: string, title: string): Figure[] {
  return ([50, 99] as const).map((percent) => ({
    id: `latency-${id}-p${percent}`,
    measure: "latency",
    section: "One byte there and back on an open connection",
    title: `${title}, p${percent}`,
    unit: "µs",
    better: "lower",
    digits: 0,
  }));
}

/** p50 and p99 of round trips on one connection, µs. */
export async function percentiles(port: number, seconds: number, signal: AbortSignal): Promise<number[]> {
  const socket = await connected(port, signal);
  try {
    const times: number[] = [];
    const end = performance.now() + seconds * 1000;
    while (times.length < MOST_ROUND_TRIPS && performance.now() < end) times.push(await oneByte(socket));
    times.sort((a, b) => a - b);
    return [quantile(times, 0.5), quantile(times, 0.99)];
  } finally {
    socket.destroy();
  }
}

/** The same while one bulk stream comes down. @throws Error when that fails: a load that failed was none. */
export async function besideBulk(
  { iperf, echo }: TargetPorts,
  seconds: number,
  signal: AbortSignal,
): Promise<number[]> {
  const load = bulk(
    iperf,
    { direction: "down", streams: 1, seconds: Math.ceil(seconds + RAMP_SECONDS * 2) },
    signal,
  );
  load.catch(() => undefined);
  await sleep(RAMP_SECONDS * 1000, undefined, { signal });
  const result = await percentiles(echo, seconds, signal);
  await load;
  return result;
}

/** Round trip of one byte, alone and beside one bulk stream in the same tunnel. */
export function latencySteps({ seconds }: Settings): Step[] {
  return [
    {
      figures: figures("idle", "idle"),
      seconds,
      maxSeconds: seconds + 20,
      run: async (context) => percentiles((await context.tunnel()).ports.echo, seconds, context.signal),
    },
    {
      figures: figures("loaded", "beside one bulk stream"),
      seconds: seconds + RAMP_SECONDS + IPERF_SECONDS,
      maxSeconds: seconds + 30,
      run: async (context) => besideBulk((await context.tunnel()).ports, seconds, context.signal),
    },
  ];
}
