import { bulk, type Direction } from "../iperf.ts";
import { cpuSecondsOf } from "../process-figures.ts";
import type { Settings } from "../settings.ts";
import type { Figure } from "./figure.ts";
import type { Step } from "./step.ts";

/** iperf3's own beginning and end. */
const OVERHEAD_SECONDS = 0.4;

const TITLES: Readonly<Record<Direction, string>> = { up: "up", down: "down", both: "both ways" };

function rateFigure(direction: Direction, streams: number): Figure {
  return {
    id: `bulk-${direction}-${streams}`,
    measure: "bulk",
    section: "Gbit/s that arrive, iperf3",
    title: `${TITLES[direction]}, ${streams === 1 ? "1 stream" : `${streams} streams`}`,
    unit: "Gbit/s",
    better: "higher",
    digits: 2,
  };
}

function cpuFigure(direction: Direction, of: string): Figure {
  return {
    id: `cpu-${direction}-${of}`,
    measure: "cpu",
    section: "CPU seconds for each GB carried, one stream",
    title: `${direction}, ${of}`,
    unit: "s/GB",
    better: "lower",
    digits: 2,
  };
}

/** CPU is read from the transfers that are made for the rate: one stream, one direction. */
function step(direction: Direction, streams: number, settings: Settings): Step {
  const withRate = settings.measures.includes("bulk");
  const withCpu = settings.measures.includes("cpu") && streams === 1 && direction !== "both";
  const rate = withRate ? [rateFigure(direction, streams)] : [];
  const cpu = withCpu ? ["client", "server", "together"].map((of) => cpuFigure(direction, of)) : [];
  return {
    figures: [...rate, ...cpu],
    seconds: settings.seconds + OVERHEAD_SECONDS,
    maxSeconds: settings.seconds + 20,
    run: async (context) => {
      const tunnel = await context.tunnel();
      const read = (): number[] => [cpuSecondsOf(tunnel.clientGroups), cpuSecondsOf(tunnel.serverGroups)];
      const [clientBefore = 0, serverBefore = 0] = withCpu ? read() : [];
      const { gigabitsPerSecond, gigabytes } = await bulk(
        tunnel.ports.iperf,
        { direction, streams, seconds: settings.seconds },
        context.signal,
      );
      const values: (number | undefined)[] = withRate ? [gigabitsPerSecond] : [];
      if (!withCpu) return values;
      if (tunnel.server.length === 0) return [...values, undefined, undefined, undefined];
      const [clientAfter = 0, serverAfter = 0] = read();
      const client = (clientAfter - clientBefore) / gigabytes;
      const server = (serverAfter - serverBefore) / gigabytes;
      return [...values, client, server, client + server];
    },
  };
}

/** Of bulk and CPU, what the settings ask for. */
export function bulkSteps(settings: Settings): Step[] {
  const steps = [step("up", 1, settings), step("down", 1, settings)];
  if (!settings.measures.includes("bulk")) return settings.measures.includes("cpu") ? steps : [];
  steps.push(step("both", 1, settings), step("up", 16, settings), step("down", 16, settings));
  if (settings.isFull) steps.push(step("both", 16, settings));
  return steps;
}
