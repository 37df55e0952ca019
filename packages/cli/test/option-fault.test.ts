import { CulvertError } from "@culvert/protocol";
import { describe, expect, it } from "vitest";
import { optionFault } from "../src/option-fault.ts";

const NAMES = {
  host: "--host",
  maxAttempts: "--retry-max",
  silenceMs: "--silence-timeout",
  pingIntervalMs: "--ping-interval",
};

describe("optionFault", () => {
  it.each([
    ["host must be a host name", "--host must be a host name."],
    [
      "retry.maxAttempts must be an integer from 1 to 9, not 0",
      "--retry-max must be an integer from 1 to 9, not 0.",
    ],
    [
      "session.silenceMs must be longer than pingIntervalMs",
      "--silence-timeout must be longer than --ping-interval.",
    ],
    ["host is empty: was it meant?", "--host is empty: was it meant?"],
    ["constructor must be something", "constructor must be something."],
  ])("says %j in flags", (detail, sentence) => {
    expect(optionFault(new CulvertError("invalid_option", detail), NAMES).message).toBe(sentence);
  });
});
