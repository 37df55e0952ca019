import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/deadline.ts";
import { Culvert } from "./support/culvert.ts";
import { dial, echo, Service } from "./support/sockets.ts";

interface Scale {
  readonly about: string;
  readonly flags: readonly string[];
  readonly silenceMs: number;
  readonly pingMs: number;
  readonly stoppedMs: number;
}

const SCALES: Scale[] = [
  {
    about: "3 s, with a keepalive of 1.5 s",
    flags: ["--ping-interval", "500ms", "--silence-timeout", "1500ms"],
    silenceMs: 1500,
    pingMs: 500,
    stoppedMs: 3000,
  },
];
// The full length takes minutes, and shows nothing but that the defaults are what they are.
if (process.env.CULVERT_E2E_FULL === "1") {
  SCALES.push({
    about: "40 s, with defaults",
    flags: [],
    silenceMs: 25_000,
    pingMs: 10_000,
    stoppedMs: 40_000,
  });
}

describe.each(SCALES)("stopped for $about", ({ flags, silenceMs, pingMs, stoppedMs }) => {
  let service: Service;
  let server: Culvert;
  let client: Culvert;
  beforeEach(async () => {
    service = await Service.echo();
    server = await Culvert.server(flags);
    const tunnels = ["-L", "-R"].flatMap((mode) => [mode, `0:127.0.0.1:${service.port}`]);
    client = await Culvert.client(server.url, [...tunnels, ...flags]);
  });
  afterEach(async () => {
    await Promise.all([client[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
    await service[Symbol.asyncDispose]();
  });

  test.each(["client", "server"] as const)("the %s: found dead, and well again afterwards", async (which) => {
    const [stopped, other] = which === "client" ? [client, server] : [server, client];
    const visitors = await Promise.all(client.tunnelPorts.map((port) => dial(port)));
    for (const visitor of visitors) await echo(visitor, Buffer.from("before"));

    const logged = other.stderr.count;
    const stoppedAt = performance.now();
    stopped.kill("SIGSTOP");
    // At least so long, and at least until it was found out.
    const slept = sleep(stoppedMs);
    // Sent into the silence; each is answered when it is over.
    const echoes = visitors.map((visitor) => echo(visitor, Buffer.from("meanwhile")));
    const detached = await other.logged("session detached", { from: logged, withinMs: stoppedMs + 15_000 });
    const foundMs = detached.at - stoppedAt;
    await slept;
    stopped.kill("SIGCONT");
    const continuedAt = performance.now();
    await Promise.all(echoes);
    const wellMs = performance.now() - continuedAt;

    console.log(
      `${which}: found dead after ${Math.round(foundMs)} ms, well ${Math.round(wellMs)} ms after SIGCONT`,
    );
    expect(detached.code).toBe("peer_silent");
    // The last sign of life may be as old as the time between two of them. How soon it is found out is printed.
    expect(foundMs).toBeGreaterThan(silenceMs - 2 * pingMs);
    for (const visitor of visitors) await echo(visitor, Buffer.from("afterwards"));
    for (const port of client.tunnelPorts) {
      using visitor = await dial(port);
      await echo(visitor, Buffer.from("new"));
    }
    // No burst on waking: one session, resumed, and it stays.
    const report = await until(
      async () => {
        const now = await client.sessionReport();
        return now.state === "attached" && now;
      },
      "the session is resumed",
      15_000,
      200,
    );
    expect(report.resumes).toBeGreaterThanOrEqual(1);
    expect(report.resumes).toBeLessThanOrEqual(2);
    for (const visitor of visitors) visitor.destroy();
  });
});
