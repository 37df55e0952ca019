import { expect, test } from "vitest";
import { readCommandLine, USAGE, UsageError } from "../command-line.ts";
import { ALL_PEERS } from "../peers/all-peers.ts";
import type { Settings } from "../settings.ts";

function read(...args: readonly string[]): Settings {
  const settings = readCommandLine(args, ALL_PEERS);
  if (settings === "help") throw new Error("asked for help");
  return settings;
}

test("measures everything in both modes without a word", () => {
  expect(read()).toMatchObject({
    rounds: 3,
    modes: ["connect", "listen"],
    seconds: 1,
    delaysMs: [50],
    idleStreams: [1000],
    isFull: false,
  });
  expect(read().peers).toBeUndefined();
  expect(read().out).toMatch(/bench\/results$/);
});

test("takes the number of rounds as its argument", () => {
  expect(read("7").rounds).toBe(7);
});

test("takes lists, in the order in which it measures", () => {
  const settings = read(
    "1",
    "--measures",
    "memory,bulk",
    "--peers",
    "culvert, openssh-aes",
    "--mode",
    "listen",
  );
  expect(settings.measures).toEqual(["bulk", "memory"]);
  expect(settings.peers).toEqual(["culvert", "openssh-aes"]);
  expect(settings.modes).toEqual(["listen"]);
});

test("measures more when asked for all, unless something else is said", () => {
  expect(read("--full")).toMatchObject({
    delaysMs: [25, 50],
    idleStreams: [1000, 10_000],
    idleClients: 1000,
  });
  expect(read("--full", "--clients", "10").idleClients).toBe(10);
});

test("helps", () => {
  expect(readCommandLine(["1", "-h"], ALL_PEERS)).toBe("help");
  for (const line of USAGE.split("\n")) expect(line.length).toBeLessThanOrEqual(120);
});

test.each([
  [["0"], /^rounds is a whole number from 1 to 1000; not 0$/],
  [["many"], /^rounds .* not many$/],
  [["1", "2"], /2 is one too many/],
  [["--measures", "bulk,speed"], /^--measures: there is no speed; there are: bulk, cpu, /],
  [["--measures", "bulk,,cpu"], /^--measures is a list with commas and no gaps/],
  [["--peers", "ngrok"], /^--peers: there is no ngrok; there are: .*culvert.*chisel/],
  [["--mode", "sideways"], /^--mode is connect, listen or both; not sideways$/],
  [["--seconds", "0.5"], /^--seconds is a whole number/],
  [["--delays", "25,x"], /^--delays is a whole number from 1 to 1000; not x$/],
  [["--rate", "-1"], /--rate/],
  [["--loss", "half"], /^--loss is a share in percent, from 0 to 10; not half$/],
  [["--loss", "11"], /^--loss/],
  [["--clients", "9999"], /^--clients is a whole number from 0 to 5000; not 9999$/],
  [["--speed", "1"], /--speed/],
])("refuses %j", (args, message) => {
  expect(() => read(...args)).toThrow(UsageError);
  expect(() => read(...args)).toThrow(message);
});
