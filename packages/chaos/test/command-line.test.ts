import { describe, expect, it } from "vitest";
import { type Command, parseCommandLine, USAGE } from "../src/command-line.ts";

const TARGET = ["--target", "127.0.0.1:9000"];

function parsed(...flags: string[]): Command {
  const command = parseCommandLine([...TARGET, ...flags]);
  if (command === "help") throw new Error("help was not asked for");
  return command;
}

describe("the command line of the proxy", () => {
  it("needs a target only, and then lets everything pass", () => {
    expect(parsed("--seed", "7")).toEqual({
      listen: { host: "127.0.0.1", port: 9100 },
      target: { host: "127.0.0.1", port: 9000 },
      seed: 7,
      forMs: undefined,
      direction: "both",
      shape: undefined,
      cutEveryMs: undefined,
      cutAfterBytes: undefined,
      how: "rst",
      steps: [],
      plan: undefined,
    });
  });

  it("takes addresses of both families, and names", () => {
    expect(parsed("--listen", "[::1]:0").listen).toEqual({ host: "::1", port: 0 });
    expect(parsed("--listen", "localhost:80").listen).toEqual({ host: "localhost", port: 80 });
  });

  it("draws a seed where none is given", () => {
    expect(parsed().seed).toBeGreaterThanOrEqual(0);
  });

  it("makes one shape of what holds all the time", () => {
    const flags =
      "--delay 50ms --jitter 10ms --rate 1MiB --slice 1 --coalesce 5ms --flip 64KiB --direction up";
    expect(parsed(...flags.split(" "))).toMatchObject({
      direction: "up",
      shape: {
        delayMs: 50,
        jitterMs: 10,
        bytesPerSecond: 1_048_576,
        slice: { maxBytes: 1 },
        coalesceMs: 5,
        flipBit: { everyBytes: 65_536 },
      },
    });
  });

  it("makes steps of what lasts for a while and comes again", () => {
    const flags = "--black-hole-for 10s --stall-for 1s --refuse-for 2s --every 5s --direction down";
    expect(parsed(...flags.split(" ")).steps).toEqual([
      { kind: "stall", gapMs: 5_000, forMs: 1_000, direction: "down" },
      { kind: "blackhole", gapMs: 5_000, forMs: 10_000, direction: "down" },
      { kind: "refuse", gapMs: 5_000, forMs: 2_000 },
    ]);
    expect(parsed("--stall-for", "1s").steps).toMatchObject([{ gapMs: 20_000 }]);
  });

  it("cuts as it is told", () => {
    const command = parsed("--cut-every", "5s", "--cut-after", "1MiB", "--how", "fin", "--for", "1m");
    expect(command).toMatchObject({ cutEveryMs: 5_000, cutAfterBytes: 1_048_576, how: "fin", forMs: 60_000 });
  });

  it.each(["cuts", "holes", "rough", "all"])("knows the plan %s, which never turns over bits", (name) => {
    const { plan } = parsed("--plan", name);
    expect(plan?.name).toBe(name);
    expect(plan?.options.kinds).not.toContain("flip");
  });

  it("shows its help, whatever else is asked for", () => {
    expect(parseCommandLine(["--help", "--cut-every", "soon"])).toBe("help");
    expect(parseCommandLine(["-h"])).toBe("help");
  });

  it("names every flag in its help", () => {
    const flags = USAGE.match(/--[a-z-]+/g) ?? [];
    for (const flag of new Set(flags)) {
      const known = (() => {
        try {
          parseCommandLine([...TARGET, flag, "x"]);
          return true;
        } catch (error) {
          return !String(error).includes("Unknown option");
        }
      })();
      expect(known, flag).toBe(true);
    }
  });

  it.each([
    [["--listen", "127.0.0.1:0"], /^--target is missing/],
    [["--target", "9000"], /^--target is host:port/],
    [["--target", "::1:9000"], /^--target is host:port/],
    [["--target", "a:0"], /^the port of --target must be a number from 1 to 65535/],
    [[...TARGET, "--cut-evry", "5s"], /--cut-evry/],
    [[...TARGET, "--cut-every", "5"], /^--cut-every is a whole number and a unit/],
    [[...TARGET, "--delay", "0s"], /^--delay must be more than nothing/],
    [[...TARGET, "--slice", "64K"], /^--slice is a whole number of bytes/],
    [[...TARGET, "--how", "bye"], /^--how must be one of rst, fin/],
    [[...TARGET, "--direction", "left"], /^--direction must be one of up, down, both/],
    [[...TARGET, "--plan", "none"], /^--plan must be one of cuts, holes, rough, all/],
    [[...TARGET, "--plan", "all", "--cut-every", "5s"], /^--plan draws its own/],
    [[...TARGET, "--plan", "all", "--stall-for", "5s"], /^--plan draws its own/],
    [[...TARGET, "--every", "5s"], /^--every says how often/],
    [[...TARGET, "--seed", "-1"], /seed/],
    [[...TARGET, "stray"], /stray/],
  ])("says what is wrong with %j", (args, complaint) => {
    expect(() => parseCommandLine(args)).toThrow(complaint);
  });
});
