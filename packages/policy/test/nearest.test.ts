import { describe, expect, it } from "vitest";
import { editDistance, nearest } from "../src/nearest.ts";

describe("editDistance", () => {
  it.each([
    ["", "", 0],
    ["", "abc", 3],
    ["abc", "abc", 0],
    ["abc", "abd", 1],
    ["abc", "ac", 1],
    ["abc", "acb", 1],
    ["tokn", "token", 1],
    ["kitten", "sitting", 3],
  ])("of %j and %j is %i, both ways", (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
    expect(editDistance(b, a)).toBe(distance);
  });
});

describe("nearest", () => {
  const words = ["--port", "--path", "--host", "--token-file", "--log-level"];

  it.each([
    ["--prot", "--port"],
    ["--por", "--port"],
    ["--tokn-file", "--token-file"],
    ["--loglevel", "--log-level"],
    ["--listen", undefined],
    ["--x", undefined],
    ["", undefined],
  ])("to %j is %j", (word, meant) => {
    expect(nearest(word, words)).toBe(meant);
  });
});
