import { bulk } from "../iperf.ts";
import type { Settings } from "../settings.ts";
import { quantile } from "../statistics.ts";
import type { LinkSettings } from "../tunnel.ts";
import { connected, request } from "../visitor.ts";
import type { Figure } from "./figure.ts";
import type { Scenario, Step, StepContext } from "./step.ts";

const FIRST_BYTES = 8;
const PARALLEL = 64;
const REQUEST_BYTES = 64 * 1024;
/** Seconds of a transfer before the measured ones: windows must grow first, and how fast they do shows in both. */
const EARLY_SECONDS = 1;
const LATE_SECONDS = 10;
const DIRECTIONS = ["up", "down"] as const;

/** Time to the first byte on a new connection, ms. */
async function timeToFirstByte(port: number, signal: AbortSignal): Promise<number> {
  const start = performance.now();
  const socket = await connected(port, signal);
  try {
    return (await request(socket, 1).first) - start;
  } finally {
    socket.destroy();
  }
}

/** Until new connections, all at once, have each brought what they asked for, ms. */
async function parallelRequests(port: number, signal: AbortSignal): Promise<number> {
  const start = performance.now();
  const ends = await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      const socket = await connected(port, signal);
      try {
        return await request(socket, REQUEST_BYTES).all;
      } finally {
        socket.destroy();
      }
    }),
  );
  return Math.max(...ends) - start;
}

function scenario(link: LinkSettings, settings: Settings): Scenario {
  const lossText = link.lossRate > 0 ? `, ${link.lossRate * 100} % of packets lost` : "";
  const name = `${link.delayMs} ms each way, ${settings.megabitsPerSecond} Mbit/s${lossText}`;
  const figure = (id: string, title: string, unit: string, better: Figure["better"]): Figure => ({
    id: `distance-${link.delayMs}${link.lossRate > 0 ? "-loss" : ""}-${id}`,
    measure: "distance",
    section: name,
    title,
    unit,
    better,
    digits: unit === "ms" ? 0 : 3,
  });
  const roundTripSeconds = (2 * link.delayMs) / 1000;
  const omissions = settings.isFull ? [EARLY_SECONDS, LATE_SECONDS] : [EARLY_SECONDS];
  const steps: Step[] = [
    {
      figures: [figure("first-byte", "first byte of a new connection", "ms", "lower")],
      seconds: FIRST_BYTES * 3 * roundTripSeconds,
      maxSeconds: 30,
      run: async (context) => {
        const { ports } = await context.tunnel();
        const times: number[] = [];
        while (times.length < FIRST_BYTES) times.push(await timeToFirstByte(ports.serve, context.signal));
        times.sort((a, b) => a - b);
        return [quantile(times, 0.5)];
      },
    },
    ...omissions.flatMap((omitSeconds) =>
      DIRECTIONS.map((direction) => ({
        figures: [
          figure(
            `${direction}-${omitSeconds}`,
            `bulk ${direction} after ${omitSeconds} s`,
            "Gbit/s",
            "higher",
          ),
        ],
        seconds: settings.seconds + omitSeconds + 10 * roundTripSeconds,
        maxSeconds: settings.seconds + omitSeconds + 40,
        run: async (context: StepContext) => {
          const { ports } = await context.tunnel();
          const options = { direction, streams: 1, seconds: settings.seconds, omitSeconds };
          return [(await bulk(ports.iperf, options, context.signal)).gigabitsPerSecond];
        },
      })),
    ),
    {
      figures: [
        figure("requests", `${PARALLEL} requests of ${REQUEST_BYTES / 1024} KiB at once`, "ms", "lower"),
      ],
      seconds: 10 * roundTripSeconds,
      maxSeconds: 30,
      run: async (context) => [await parallelRequests((await context.tunnel()).ports.serve, context.signal)],
    },
  ];
  return { name, link, steps, isOnce: !settings.isFull };
}

/** For each delay a link that loses nothing, and one that does. */
export function distanceScenarios(settings: Settings): Scenario[] {
  const bytesPerSecond = (settings.megabitsPerSecond * 1e6) / 8;
  const losses = settings.lossRate > 0 ? [0, settings.lossRate] : [0];
  return settings.delaysMs.flatMap((delayMs) =>
    losses.map((lossRate) => scenario({ delayMs, bytesPerSecond, lossRate }, settings)),
  );
}
