import { describe, expect, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { need, programPath } from "./support/needed-programs.ts";
import { Program, run } from "./support/program.ts";
import { ScratchDirectory } from "./support/scratch-directory.ts";
import { MODES, TunnelRig } from "./support/tunnel-rig.ts";

/** Short requests, pipelined ones, and answers of some size. */
const RUNS = [
  { about: "50 clients", args: ["-c", "50", "-n", "10000", "-t", "ping,set,get,incr,lpush,rpop,mset"] },
  { about: "16 requests at once", args: ["-c", "20", "-P", "16", "-n", "100000", "-t", "set,get"] },
  { about: "values of 100 KB", args: ["-c", "8", "-d", "100000", "-n", "1000", "-t", "set,get"] },
  { about: "a connection for each request", args: ["-k", "0", "-c", "20", "-n", "3000", "-t", "ping"] },
];

describe.each(MODES)("redis-benchmark through %s", (mode) => {
  for (const { about, args } of RUNS) {
    test(about, async (context) => {
      need(context, "redis-server", "redis-benchmark");
      using scratch = new ScratchDirectory();
      const port = await freePort();
      await using redis = await startRedis(port, scratch.path);
      await using rig = await TunnelRig.open(mode, port);

      const { code, stdout, stderr } = await run(
        "redis-benchmark",
        ["-h", "127.0.0.1", "-p", String(rig.port), "--csv", ...args],
        { withinMs: 120_000 },
      );
      // Without keepalive it warns of ports that may run short.
      const complaints = stderr.replace(/^WARNING: Keepalive disabled.*$/m, "");
      expect({ code, complaints }).toEqual({ code: 0, complaints: "" });
      // A header and then a line with the figures of each test; an error would be told among them.
      expect(stdout).not.toMatch(/error|closed|reset/i);
      const tests = args[args.indexOf("-t") + 1]!.split(",");
      expect(stdout.split("\n").filter((line) => /^"[^"]+","\d/.test(line)).length).toBeGreaterThanOrEqual(
        tests.length,
      );
      expect(redis.isRunning).toBe(true);
    });
  }
});

async function startRedis(port: number, directory: string): Promise<Program> {
  const redis = await Program.start(programPath("redis-server"), {
    args: [
      "--port",
      String(port),
      "--bind",
      "127.0.0.1",
      "--save",
      "",
      "--appendonly",
      "no",
      "--dir",
      directory,
    ],
  });
  await redis.stdout.waitFor("Ready to accept connections");
  return redis;
}
