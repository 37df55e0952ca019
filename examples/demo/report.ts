import type { Stats } from "./messages.ts";
import { DEATHS } from "./mischief.ts";
import type { Progress } from "./progress.ts";
import type { Screen } from "./screen.ts";
import type { Outcome } from "./transfer.ts";
import { bytesText, msText } from "./units.ts";

export interface Findings {
  readonly outcomes: readonly Outcome[];
  readonly progress: Progress;
  readonly seconds: number;
  readonly client: Stats;
  readonly server: Stats;
  /** Round trips in ms, measured by the client's pings: the shortest before the transfers, and those during them. */
  readonly idleRttMs: number | undefined;
  readonly busyRttsMs: readonly number[];
}

/** Everything that is not as it should be, one sentence each. */
export function complaints({ outcomes, client }: Findings): string[] {
  const found: string[] = [];
  for (const { tunnel, direction, sent, received } of outcomes) {
    const what = `the ${direction} through the ${tunnel} tunnel`;
    if (sent.bytes !== received.bytes) {
      found.push(`of ${what} ${sent.bytes} bytes were sent, and ${received.bytes} arrived`);
    } else if (sent.sha256 !== received.sha256) {
      found.push(`${what} arrived changed: SHA-256 ${sent.sha256} became ${received.sha256}`);
    }
  }
  if (client.sessions !== 1) found.push(`there were ${client.sessions} sessions in place of one`);
  if (client.link.resumes < DEATHS) {
    found.push(`the WebSocket died ${DEATHS} times, and ${client.link.resumes} resumes are counted`);
  }
  return found;
}

/** The report at the end. */
export function report(findings: Findings, screen: Screen): void {
  const { outcomes, progress, seconds, client, server } = findings;
  const bold = (text: string | number): string => screen.style("bold", String(text));
  screen.line();
  screen.line(bold("Did everything arrive?"));
  for (const { tunnel, direction, sent, received } of outcomes) {
    const isEqual = sent.sha256 === received.sha256 && sent.bytes === received.bytes;
    const verdict = isEqual ? screen.style("green", "equal") : screen.style("red", "DIFFERENT");
    const hashes = `SHA-256 sent ${sent.sha256.slice(0, 8)}…  arrived ${received.sha256.slice(0, 8)}…`;
    const amount = bytesText(received.bytes).padStart(7);
    screen.line(`  ${tunnel.padEnd(7)}  ${direction.padEnd(8)}  ${amount}   ${hashes}  ${verdict}`);
  }
  const again = client.link.replayedBytes + server.link.replayedBytes;
  const frames = client.link.replayedFrames + server.link.replayedFrames;
  const stall = Math.max(...outcomes.map(({ received }) => received.longestStallMs));
  const rows: [string, string][] = [
    ["WebSockets lost", `${bold(client.link.resumes)}, and as many resumes of ${bold("one")} session`],
    ["connections lost", `${bold(0)} of ${outcomes.length}`],
    ["sent again", `${bold(frames)} frames, ${bytesText(again)} (${percent(again / progress.totalBytes)})`],
    ["longest stall", `${bold(msText(stall))} (silence is borne for 2 s here, by default for 25 s)`],
    [
      "throughput",
      `${bold(`${bytesText(progress.totalBytes / seconds)}/s`)}: ` +
        `${bytesText(progress.totalBytes)} in ${seconds.toFixed(1)} s, mischief included`,
    ],
    ["round trip", roundTrip(findings)],
    ["memory", `server ${bytesText(server.rssBytes)}, client ${bytesText(client.rssBytes)}`],
  ];
  screen.line();
  screen.line(bold("What did it take?"));
  for (const [name, value] of rows) screen.line(`  ${name.padEnd(16)}  ${value}`);
  screen.line();
}

function roundTrip({ idleRttMs, busyRttsMs }: Findings): string {
  const median = busyRttsMs.toSorted((a, b) => a - b)[busyRttsMs.length >> 1];
  const shown = (ms: number | undefined): string => (ms === undefined ? "not measured" : msText(ms));
  return `${shown(idleRttMs)} at rest, ${shown(median)} at full load (median of ${busyRttsMs.length})`;
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1)} %`;
}
