import { type CustomSeriesOption, type EChartsOption, init } from "echarts";
import type { Contender } from "../contender.ts";
import type { Figure } from "../measures/figure.ts";
import type { Mode, Peer, Security } from "../peers/peer.ts";
import type { Results } from "../results.ts";
import { type Outcome, sectionsOf } from "./outcome.ts";

const WIDTH = 900;
const TOP = 70;
const LEFT = 130;
const RIGHT = 110;
const ROW = 16;
const PANEL_HEAD = 34;
const COLORS: Readonly<Record<Peer["kind"], Readonly<Record<Security, string>>>> = {
  culvert: { none: "#4a9be0", encrypted: "#14508a" },
  peer: { none: "#aeb7c0", encrypted: "#6f7a86" },
  limit: { none: "#dfe3e7", encrypted: "#dfe3e7" },
};
const MODE_NAMES: Readonly<Record<Mode, string>> = { connect: "-L", listen: "-R" };

interface Bar {
  readonly name: string;
  readonly color: string;
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

function barsOf(figure: Figure, contenders: readonly Contender[], results: Results): Bar[] {
  return contenders.flatMap((contender) => {
    const cell = results.cell(figure, contender);
    if (cell.kind !== "measured") return [];
    const { peer, mode } = contender;
    const name = peer.kind === "limit" ? peer.name : `${peer.name} ${MODE_NAMES[mode]}`;
    return [{ name, color: COLORS[peer.kind][peer.security], ...cell.spread }];
  });
}

/** A line from quartile to quartile over each bar. */
function whiskers(bars: readonly Bar[], at: number): CustomSeriesOption {
  return {
    type: "custom",
    xAxisIndex: at,
    yAxisIndex: at,
    silent: true,
    z: 3,
    data: bars.map(({ low, high }, i) => [low, high, i]),
    renderItem: (_params, api) => {
      const [x1 = 0, y = 0] = api.coord([api.value(0), api.value(2)]);
      const [x2 = 0] = api.coord([api.value(1), api.value(2)]);
      return { type: "line", shape: { x1, y1: y, x2, y2: y }, style: { stroke: "#333", lineWidth: 1.5 } };
    },
  };
}

/** One picture of a section: a panel of bars for each figure, drawn as SVG. Undefined if there is nothing to draw. */
function sectionPicture(
  section: string,
  figures: readonly Figure[],
  { contenders, results }: Outcome,
): string | undefined {
  const panels = figures
    .filter(({ words }) => words === undefined)
    .map((figure) => ({ figure, bars: barsOf(figure, contenders, results) }))
    .filter(({ bars }) => bars.length > 0);
  if (panels.length === 0) return undefined;
  let y = TOP;
  const places = panels.map(({ figure, bars }) => {
    const place = { figure, bars, top: y + PANEL_HEAD, height: bars.length * ROW };
    y += PANEL_HEAD + place.height;
    return place;
  });
  const option: EChartsOption = {
    animation: false,
    backgroundColor: "#ffffff",
    title: [
      {
        text: section,
        subtext:
          "medians; the line is from quartile to quartile; dark: encrypted; blue: Culvert; palest: no tunnel, the limit",
        left: 12,
        top: 8,
      },
      ...places.map(({ figure, top }) => ({
        text: titleOf(figure),
        left: LEFT,
        top: top - 24,
        textStyle: { fontSize: 12 },
      })),
    ],
    grid: places.map(({ top, height }) => ({ left: LEFT, right: RIGHT, top, height })),
    xAxis: places.map((_place, i) => ({ type: "value", gridIndex: i, show: false, min: 0 })),
    yAxis: places.map(({ bars }, i) => ({
      type: "category",
      gridIndex: i,
      inverse: true,
      data: bars.map(({ name }) => name),
      axisTick: { show: false },
      axisLabel: { fontSize: 10, interval: 0 },
    })),
    series: places.flatMap(({ figure, bars }, i) => [
      {
        type: "bar" as const,
        xAxisIndex: i,
        yAxisIndex: i,
        barWidth: "70%",
        data: bars.map(({ median, color }) => ({ value: median, itemStyle: { color } })),
        label: {
          show: true,
          position: "right" as const,
          fontSize: 10,
          formatter: ({ dataIndex }: { dataIndex: number }) =>
            (bars[dataIndex]?.median ?? 0).toFixed(figure.digits),
        },
      },
      whiskers(bars, i),
    ]),
  };
  const chart = init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: y + 20 });
  chart.setOption(option);
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

function titleOf({ title, unit, better }: Figure): string {
  return `${title}${unit === "" ? "" : `, ${unit}`} (${better} is better)`;
}

/** A picture for each section, by file name. */
export function pictures(outcome: Outcome): Map<string, string> {
  const files = new Map<string, string>();
  for (const [section, figures] of sectionsOf(outcome.figures)) {
    const svg = sectionPicture(section, figures, outcome);
    const measure = figures[0]?.measure ?? "figure";
    if (svg === undefined) continue;
    const count = [...files.keys()].filter((name) => name.startsWith(measure)).length;
    files.set(count === 0 ? `${measure}.svg` : `${measure}-${count + 1}.svg`, svg);
  }
  return files;
}
