import type { Figure } from "../measures/figure.ts";
import { bestPeer, type Comparison, compare } from "./comparison.ts";
import { connectionsOf, type Group, groupsOf, type Outcome, sectionsOf } from "./outcome.ts";

/** The report as Markdown; `pictures` are file names beside it. */
export function markdown(outcome: Outcome, pictures: readonly string[] = []): string {
  return [
    "# Benchmark",
    "",
    conditions(outcome),
    "",
    ...programs(outcome),
    "",
    ...summary(outcome),
    ...groupsOf(outcome).flatMap((group) => groupTables(outcome, group)),
    ...pictures.map((name) => `![${name}](${name})\n`),
  ].join("\n");
}

function conditions({ machine, settings }: Outcome): string {
  const { processor, cores, memoryGiB, kernel, governor, node, iperf3, openssl, startedAt } = machine;
  const rounds = settings.rounds === 1 ? "1 round" : `${settings.rounds} interleaved rounds`;
  return [
    `${processor}, ${cores} cores (governor: ${governor}), ${memoryGiB} GiB, Linux ${kernel}, Node ${node}`,
    `(OpenSSL ${openssl}), ${iperf3}; ${startedAt}. ${rounds}, ${settings.seconds} s each; load, both ends of the`,
    "tunnel and target share the cores, over loopback. A cell is the median (quartiles); × is the ratio to the best peer of",
    "its table, in which more than 1 is always better. direct and socat are limits, not peers.",
  ].join("\n");
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [row(head), row(head.map(() => "---")), ...rows.map(row)];
}

function programs(outcome: Outcome): string[] {
  const peers = [...new Set(outcome.contenders.map(({ peer }) => peer))];
  return [
    ...table(
      ["program", "version", "encryption", "TCP connections with 4 tunnels and 16 streams open", "note"],
      peers.map((peer) => [
        peer.name,
        outcome.versions.get(peer) ?? "-",
        peer.cipher,
        connectionsOf(outcome, peer),
        peer.note ?? "",
      ]),
    ),
    ...outcome.absent.map(({ peer, reason }) => `\nNot measured: ${peer.name} (${reason}).`),
  ];
}

/** Nobody to compare with. */
const NO_PEER = "no peer";

/** One line a figure: how Culvert stands to the best peer of each group. */
function summary(outcome: Outcome): string[] {
  const groups = groupsOf(outcome).filter(({ contenders }) =>
    contenders.some(({ peer }) => peer.kind === "culvert"),
  );
  const rows: string[][] = [];
  for (const figure of outcome.figures) {
    if (figure.noRatio === true || figure.words !== undefined) continue;
    const cells = groups.map((group) => standing(outcome, figure, group));
    if (cells.some((cell) => cell !== "-" && cell !== NO_PEER))
      rows.push([`${figure.section}: ${figure.title}`, ...cells]);
  }
  if (rows.length === 0) return [];
  return [
    "## Culvert beside the best peer",
    "",
    ...table(["", ...groups.map(({ title }) => title)], rows),
    "",
  ];
}

function standing({ results }: Outcome, figure: Figure, { contenders }: Group): string {
  const best = bestPeer(figure, contenders, results);
  const own = compare(figure, contenders, results).find(({ contender }) => contender.peer.kind === "culvert");
  if (own === undefined || own.cell.kind === "none") return "-";
  if (own.cell.kind === "failed") return `failed: ${own.cell.reason}`;
  return best === undefined || own.ratio === undefined
    ? NO_PEER
    : `${ratioText(own)} of ${best.contender.peer.name}`;
}

function groupTables(outcome: Outcome, group: Group): string[] {
  const lines: string[] = [];
  for (const [section, figures] of sectionsOf(outcome.figures)) {
    const byFigure = figures.map((figure) => compare(figure, group.contenders, outcome.results));
    const rows = group.contenders
      .map((contender, i) => [
        contender.peer.kind === "culvert" ? `**${contender.peer.name}**` : contender.peer.name,
        ...byFigure.map((comparisons, at) => cellText(figures[at], comparisons[i])),
      ])
      .filter(([, ...cells]) => cells.some((cell) => cell !== "-"));
    if (rows.length === 0) continue;
    const head = figures.map(({ title, unit }) => (unit === "" ? title : `${title}, ${unit}`));
    lines.push(`### ${section}`, "", ...table([group.title, ...head], rows), "");
  }
  return lines.length === 0 ? [] : [`## ${group.title}`, "", ...lines];
}

/** A cell: `7.00 (6.90-7.10) ×1.20`, `kept`, `failed: why` or `-`. */
function cellText(figure: Figure | undefined, comparison: Comparison | undefined): string {
  if (figure === undefined || comparison === undefined) return "-";
  const { cell, contender } = comparison;
  if (cell.kind === "none") return "-";
  if (cell.kind === "failed") return `failed: ${cell.reason}`;
  const { median, low, high, n } = cell.spread;
  if (figure.words !== undefined) return figure.words[median >= 0.5 ? 1 : 0];
  const digits = figure.digits;
  const spreadText = n > 1 ? ` (${low.toFixed(digits)}-${high.toFixed(digits)})` : "";
  const isCompared = comparison.ratio !== undefined && contender.peer.kind !== "limit";
  return `${median.toFixed(digits)}${spreadText}${isCompared ? ` ${ratioText(comparison)}` : ""}`;
}

function ratioText({ ratio }: Comparison): string {
  if (ratio === undefined) return "-";
  const { median, low, high, n } = ratio;
  return `×${median.toFixed(2)}${n > 1 ? ` (${low.toFixed(2)}-${high.toFixed(2)})` : ""}`;
}
