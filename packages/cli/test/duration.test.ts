import { describe, expect, it } from "vitest";
import { formatDuration, parseDuration } from "../src/duration.ts";

describe("parseDuration", () => {
  it.each([
    ["0", 0],
    ["0s", 0],
    ["0ms", 0],
    ["500ms", 500],
    ["10s", 10_000],
    ["2m", 120_000],
    ["1h", 3_600_000],
    ["007s", 7000],
  ])("reads %j as %i ms", (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each([
    "",
    " ",
    "10",
    "10x",
    "-1s",
    "+1s",
    "1e9h",
    "1.5s",
    "1 s",
    " 1s",
    "1s ",
    "1S",
    "1sec",
    "1m30s",
    "s",
    "1d",
    "٣s",
    "1s\n",
    "9999999999999999h",
    "999999999999999h",
    "Infinitys",
    "0x10s",
    "__proto__",
  ])("refuses %j", (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
});

describe("formatDuration", () => {
  it.each([
    [0, "0s"],
    [1, "1ms"],
    [1500, "1500ms"],
    [10_000, "10s"],
    [90_000, "90s"],
    [120_000, "2m"],
    [3_600_000, "1h"],
    [86_400_000, "24h"],
  ])("writes %i ms as %j, which reads back", (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text);
    expect(parseDuration(text)).toBe(milliseconds);
  });
});
