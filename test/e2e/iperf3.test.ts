import { describe, expect, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { need, programPath } from "./support/needed-programs.ts";
import { Program, run } from "./support/program.ts";
import { MODES, TunnelRig } from "./support/tunnel-rig.ts";

const RUNS = [
  { about: "upwards", args: [] },
  { about: "downwards (-R)", args: ["-R"] },
  { about: "both ways at once (--bidir)", args: ["--bidir"] },
  { about: "16 at once (-P 16)", args: ["-P", "16"] },
];

/** As far as the tests look at it. */
interface Report {
  readonly error?: string;
  readonly end: {
    readonly streams: readonly unknown[];
    readonly sum_sent: Sum;
    readonly sum_received: Sum;
    readonly sum_sent_bidir_reverse?: Sum;
    readonly sum_received_bidir_reverse?: Sum;
  };
}
interface Sum {
  readonly bytes: number;
  readonly bits_per_second: number;
}

describe.each(MODES)("iperf3 through %s", (mode) => {
  for (const { about, args } of RUNS) {
    test(about, async (context) => {
      need(context, "iperf3");
      const port = await freePort();
      await using iperf = await Program.start(programPath("iperf3"), {
        args: ["-s", "-B", "127.0.0.1", "-p", String(port), "--forceflush"],
      });
      await iperf.stdout.waitFor("Server listening");
      await using rig = await TunnelRig.open(mode, port);

      const outcome = await run("iperf3", [
        "-c",
        "127.0.0.1",
        "-p",
        String(rig.port),
        "-t",
        "2",
        "-J",
        ...args,
      ]);
      const report = JSON.parse(outcome.stdout) as Report;
      expect({ code: outcome.code, error: report.error }).toEqual({ code: 0, error: undefined });
      const { sum_sent, sum_received, sum_sent_bidir_reverse, sum_received_bidir_reverse } = report.end;
      const sums = [sum_sent, sum_received];
      if (args.includes("--bidir")) sums.push(sum_sent_bidir_reverse!, sum_received_bidir_reverse!);
      for (const sum of sums) expect(sum.bytes).toBeGreaterThan(0);
      expect(report.end.streams.length).toBe(args.includes("-P") ? 16 : sums.length / 2);
      console.log(
        `${mode} ${about}: ${sums.map((sum) => Math.round(sum.bits_per_second / 1e6)).join(", ")} Mbit/s`,
      );
      expect(iperf.stderr.text).toBe("");
      expect(iperf.stdout.text).not.toMatch(/error/i);
    });
  }
});
