import { open, withSockets } from "../held-connections.ts";
import { bulk } from "../iperf.ts";
import type { Settings } from "../settings.ts";
import type { Tunnel } from "../tunnel.ts";
import type { Figure } from "./figure.ts";
import { besideBulk, percentiles } from "./latency.ts";
import { refuseThousands } from "./memory.ts";
import type { Step } from "./step.ts";

const number = new Intl.NumberFormat("en-US");
/** Node compiles what is hot in its first seconds. */
const WARM_SECONDS = 3;

function figures(count: number): Figure[] {
  const common = { measure: "growth", section: "Beside idle streams of the same client" } as const;
  const beside = count === 0 ? "none beside it" : `${number.format(count)} beside it`;
  return [
    {
      ...common,
      ...{ id: `growth-${count}-rate`, title: `one stream down, ${beside}` },
      ...{ unit: "Gbit/s", better: "higher", digits: 2 },
    },
    {
      ...common,
      ...{ id: `growth-${count}-p99`, title: `round trip, ${beside}, p99` },
      ...{ unit: "µs", better: "lower", digits: 0 },
    },
    {
      ...common,
      ...{ id: `growth-${count}-loaded-p99`, title: `round trip, ${beside} and a bulk stream, p99` },
      ...{ unit: "µs", better: "lower", digits: 0 },
    },
  ];
}

async function figuresOf({ ports }: Tunnel, seconds: number, signal: AbortSignal): Promise<number[]> {
  const { gigabitsPerSecond } = await bulk(ports.iperf, { direction: "down", streams: 1, seconds }, signal);
  const [, idle = 0] = await percentiles(ports.echo, seconds, signal);
  const [, loaded = 0] = await besideBulk(ports, seconds, signal);
  return [gigabitsPerSecond, idle, loaded];
}

/** What a stream costs the others: rate and round trips while more and more idle ones stand beside, in one tunnel. */
export function growthStep({ idleStreams, seconds }: Settings): Step {
  const counts = [0, ...idleStreams.toSorted((a, b) => a - b)];
  const most = counts.at(-1) ?? 0;
  return {
    figures: counts.flatMap(figures),
    seconds: WARM_SECONDS + counts.length * (seconds * 3 + 2) + most / 1_000,
    maxSeconds: 60 + counts.length * (seconds * 3 + 20) + most / 50,
    run: async (context) => {
      refuseThousands(context);
      const { signal } = context;
      return context.withTunnel({ streams: most + 64 }, (tunnel) =>
        withSockets(async (sockets) => {
          await bulk(tunnel.ports.iperf, { direction: "down", streams: 1, seconds: WARM_SECONDS }, signal);
          const values: number[] = [];
          for (const count of counts) {
            await open(tunnel.ports.echo, count - sockets.length, sockets, signal);
            values.push(...(await figuresOf(tunnel, seconds, signal)));
          }
          return values;
        }),
      );
    },
  };
}
