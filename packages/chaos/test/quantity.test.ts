import { describe, expect, it } from "vitest";
import { parseSize, parseTime, sizeText, timeText } from "../src/quantity.ts";

describe("times and sizes on the command line", () => {
  it.each([
    ["500ms", 500],
    ["10s", 10_000],
    ["2m", 120_000],
    ["10", undefined],
    ["1.5s", undefined],
    ["-1s", undefined],
    ["s", undefined],
    ["", undefined],
  ])("reads the time %j as %s ms", (text, ms) => expect(parseTime(text)).toBe(ms));

  it.each([
    ["1", 1],
    ["64KiB", 65_536],
    ["2MiB", 2_097_152],
    ["64K", undefined],
    ["1.5", undefined],
    ["", undefined],
  ])("reads the size %j as %s bytes", (text, bytes) => expect(parseSize(text)).toBe(bytes));

  it("writes them for people", () => {
    expect([timeText(20), timeText(1_500), timeText(10_000)]).toEqual(["20 ms", "1.5 s", "10 s"]);
    expect([sizeText(12), sizeText(1_536), sizeText(3 * 2 ** 20)]).toEqual([
      "12 bytes",
      "1.5 KiB",
      "3.0 MiB",
    ]);
  });
});
