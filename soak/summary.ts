import type { Settings } from "./settings.ts";
import type { Soak } from "./soak.ts";
import { bytesText, countText, mibText, timeText } from "./units.ts";

/** How much more memory than in its first calm a process may have in the last one. */
export const ALLOWED_GROWTH = 0.1;

/** A table: the first column to the left, the others to the right. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
        .join("  "),
    )
    .map((line) => `  ${line.trimEnd()}\n`)
    .join("");
}

function sorted(counts: ReadonlyMap<string, number>): [string, string][] {
  return [...counts].sort(([, a], [, b]) => b - a).map(([name, count]) => [name, countText(count)]);
}

/** What a person wants to know at the end. */
export function summary(soak: Soak, { seed }: Settings, wasInterrupted: boolean): string {
  const { ledger, journal } = soak;
  const { total } = ledger;
  const lived = timeText(performance.now() - soak.startedAt);
  const failed = journal.failures.length;
  const stall = ledger.longestStall;
  const verdict =
    failed === 0
      ? `${wasInterrupted ? "Interrupted; until then" : "PASSED:"} no wrong byte, no hang, no reset without a reason.`
      : `FAILED: ${failed} ${failed === 1 ? "thing" : "things"} went wrong.`;
  return [
    `\nSoak of ${lived}, seed ${seed}${wasInterrupted ? ", interrupted" : ""}\n`,
    `\nCarried  ${countText(total.connections)} connections, ${bytesText(total.bytes)}, every byte compared\n`,
    table([
      ["", "connections", "whole", "reset", "bytes"],
      ...[...ledger.shapes].map(([name, { connections, whole, reset, bytes }]) => [
        name,
        countText(connections),
        countText(whole),
        countText(reset),
        bytesText(bytes),
      ]),
      [
        "all",
        countText(total.connections),
        countText(total.whole),
        countText(total.reset),
        bytesText(total.bytes),
      ],
    ]),
    `\nResets and their reasons  ${countText(total.reset)}\n`,
    table(sorted(ledger.reasons).concat(ledger.reasons.size === 0 ? [["none", "0"]] : [])),
    `\nTroubles  ${countText(soak.troubles)}; bits were left as they are, which a plain WebSocket could not notice\n`,
    table(sorted(journal.troubles).concat(journal.troubles.size === 0 ? [["none", "0"]] : [])),
    `\nSessions  ${countText(soak.sessions)} begun, resumed ${countText(soak.resumes)} times\n`,
    `Longest stall  ${stall === undefined ? "none" : `${timeText(stall.ms)} (connection ${stall.id}, ${stall.shape}, client ${stall.client})`}\n`,
    `\nMemory, MiB RSS, and descriptors; "grown" is in the first calm after two minutes, "end" in the last one\n`,
    memory(soak),
    ...journal.failures.map(
      ({ at, text }, n) => `${n === 0 ? "\nWhat went wrong\n" : ""}  ${timeText(at)}: ${text}\n`,
    ),
    `\n${verdict}\n`,
    ...(failed === 0 ? [] : [`The same again: pnpm soak --seed ${seed}\n`]),
  ].join("");
}

function memory(soak: Soak): string {
  const rows = [["", "start", "grown", "peak", "end", "growth", "fds start", "fds end"]];
  const lives = soak.census?.lives ?? [];
  const told = lives.filter(
    ({ process, growth }) => process.endedEarly === undefined || growth !== undefined,
  );
  for (const { process, start, grown, final, last, growth } of told) {
    const mib = (bytes: number | undefined): string => (bytes === undefined ? "-" : mibText(bytes));
    rows.push([
      `${process.name} (${process.pid})`,
      mib(start?.rssBytes),
      mib(grown?.rssBytes),
      mib(last?.peakRssBytes),
      mib(final?.rssBytes ?? last?.rssBytes),
      growth === undefined ? "too young" : `${growth > 0 ? "+" : ""}${(growth * 100).toFixed(1)} %`,
      String(soak.census?.idleDescriptors(process.name) ?? "-"),
      // One that was killed had connections.
      process.endedEarly === undefined ? String(last?.descriptors ?? "-") : process.endedEarly,
    ]);
  }
  const others = lives.filter((life) => !told.includes(life));
  if (others.length === 0) return table(rows);
  const most = Math.max(...others.map(({ last }) => last?.peakRssBytes ?? 0));
  return `${table(rows)}  and ${others.length} shorter lives, at most ${mibText(most)}\n`;
}
