import { describe, expect, it } from "vitest";
import { formatSize, parseSize } from "../src/size.ts";

describe("parseSize", () => {
  it.each([
    ["0", 0],
    ["65536", 65_536],
    ["64KiB", 65_536],
    ["16MiB", 16_777_216],
    ["1GiB", 1_073_741_824],
  ])("reads %j as %i bytes", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each([
    "",
    "1G",
    "1GB",
    "1K",
    "1kib",
    "-1",
    "+1",
    "1.5KiB",
    "1.5KB",
    "1 KiB",
    "KiB",
    "1e6",
    "0x10",
    "1TiB",
    "1B",
    "9007199254740993GiB",
    "1\n",
    "constructor",
  ])("refuses %j", (text) => {
    expect(parseSize(text)).toBeUndefined();
  });
});

describe("formatSize", () => {
  it.each([
    [0, "0"],
    [1000, "1000"],
    [1024, "1KiB"],
    [8192, "8KiB"],
    [1_048_577, "1048577"],
    [16_777_216, "16MiB"],
    [1_073_741_824, "1GiB"],
  ])("writes %i bytes as %j, which reads back", (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
    expect(parseSize(text)).toBe(bytes);
  });
});
