// What one stream costs through the tunnel, beside the direct connection and in the same run: `pnpm bench [ROUNDS]`.
// Both are measured in turn, so that a machine whose speed drifts slows both; medians with their quartiles are shown.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { bulkRate, IperfServer } from "./iperf.ts";
import { connectionRate, roundTrips } from "./latency.ts";
import { type Spread, spread } from "./statistics.ts";
import { TunnelProcesses } from "./tunnel-processes.ts";

const ROUNDS = Number(process.argv[2] ?? "5");
const BULK_SECONDS = 3;
const ROUND_TRIPS = 5_000;
const CONNECTIONS = 2_000;

const figures = new Map<string, number[]>();

function add(name: string, value: number): void {
  const values = figures.get(name) ?? [];
  values.push(value);
  figures.set(name, values);
  process.stderr.write(`${name.padEnd(44)} ${value.toFixed(2)}\n`);
}

async function measureBulk(): Promise<void> {
  const iperf = await IperfServer.start();
  const tunnel = await TunnelProcesses.start(iperf.port);
  // A tunnel lives for months: its first seconds, in which Node compiles it, are not what it is measured by.
  for (const direction of ["up", "down"] as const) {
    for (const port of [tunnel.localPort, tunnel.remotePort]) await bulkRate(port, direction, BULK_SECONDS);
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const direction of ["up", "down"] as const) {
      add(`bulk ${direction}, direct`, await bulkRate(iperf.port, direction, BULK_SECONDS));
      add(`bulk ${direction}, CONNECT`, await bulkRate(tunnel.localPort, direction, BULK_SECONDS));
      add(`bulk ${direction}, LISTEN`, await bulkRate(tunnel.remotePort, direction, BULK_SECONDS));
    }
  }
  await tunnel.stop();
  await iperf.stop();
}

async function measureLatency(): Promise<void> {
  const echo = spawn(process.execPath, [join(import.meta.dirname, "echo.ts")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [printed] = (await once(echo.stdout, "data")) as [Buffer];
  const port = Number(printed.toString());
  const tunnel = await TunnelProcesses.start(port);
  const ways: readonly (readonly [string, number])[] = [
    ["direct", port],
    ["CONNECT", tunnel.localPort],
    ["LISTEN", tunnel.remotePort],
  ];
  for (const [, to] of ways) {
    await roundTrips(to, 500); // warm, as above
    await connectionRate(to, CONNECTIONS, true);
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [way, to] of ways) {
      const { p50, p99 } = await roundTrips(to, ROUND_TRIPS);
      add(`round trip p50, ${way}`, p50);
      add(`round trip p99, ${way}`, p99);
    }
    for (const [way, to] of ways) {
      add(`connections, ${way}`, await connectionRate(to, CONNECTIONS, false));
      add(`connections closed by both, ${way}`, await connectionRate(to, CONNECTIONS, true));
    }
  }
  await tunnel.stop();
  echo.kill();
}

const WAYS = ["direct", "CONNECT", "LISTEN"] as const;

function show(s: Spread | undefined, digits: number): string {
  if (s === undefined) return "-";
  return `${s.median.toFixed(digits)} (${s.low.toFixed(digits)}-${s.high.toFixed(digits)})`;
}

function table(): string {
  const spreads = new Map([...figures].map(([name, values]) => [name, spread(values)]));
  const rows: readonly (readonly [name: string, unit: string, digits: number])[] = [
    ["bulk up", "Gbit/s", 2],
    ["bulk down", "Gbit/s", 2],
    ["round trip p50", "µs", 0],
    ["round trip p99", "µs", 0],
    ["connections", "a second", 0],
    ["connections closed by both", "a second", 0],
  ];
  const lines = [
    "| | unit | direct | CONNECT | LISTEN | CONNECT / direct | LISTEN / direct |",
    "| --- | --- | --- | --- | --- | --- | --- |",
  ];
  for (const [name, unit, digits] of rows) {
    const [direct, connect, listen] = WAYS.map((way) => spreads.get(`${name}, ${way}`));
    const ratio = (s: Spread | undefined): string => ((s?.median ?? 0) / (direct?.median ?? 1)).toFixed(2);
    lines.push(
      `| ${name} | ${unit} | ${show(direct, digits)} | ${show(connect, digits)} | ${show(listen, digits)} | ${ratio(connect)} | ${ratio(listen)} |`,
    );
  }
  return lines.join("\n");
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
await measureBulk();
await measureLatency();
const results = join(import.meta.dirname, "results");
mkdirSync(results, { recursive: true });
const machine = `${cpus()[0]?.model ?? "unknown"}, ${availableParallelism()} cores, Node ${process.versions.node}`;
writeFileSync(
  join(results, "latest.json"),
  JSON.stringify({ machine, rounds: ROUNDS, figures: Object.fromEntries(figures) }),
);
process.stdout.write(
  `\n${machine}; ${ROUNDS} interleaved rounds, median (quartiles); plain WebSocket, loopback\n\n${table()}\n`,
);
