import { describe, expect, it, test } from "vitest";
import { shown } from "../src/usage-error.ts";
import { outcomeOf } from "./support.ts";

describe("what was typed, as an error shows it", () => {
  it.each([
    ["web", "web"],
    ["a b", '"a b"'],
    ["\u001b[2J", '"\\u001b[2J"'],
    ["x".repeat(81), `${"x".repeat(80)}…`],
    ["culvert_token", "culvert_token"],
  ])("%j: %s", (text, sentence) => {
    expect(shown(text)).toBe(sentence);
  });
});

const TOKEN = `culvert_k3v9q2m1_${"aB-_".repeat(10)}xyz`;
const KEY =
  "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIOkj3fTpLM6lfzCW35Be\n-----END PRIVATE KEY-----";

test("T5: a secret in a wrong place is not repeated, whatever stands there otherwise", async () => {
  const lines = [
    ["client", TOKEN, "-L", "8080:srv:80"],
    ["client", `ws://host2/${TOKEN}#x`, "-L", "8080:srv:80"],
    ["client", "wss://host2", "--cert", TOKEN, "--key", TOKEN, "-L", "8080:srv:80"],
    ["client", "wss://host2", "--name", TOKEN, "-L", TOKEN],
    ["client", "wss://host2", TOKEN, "-L", "8080:srv:80"],
    ["server", "--users", TOKEN],
    ["server", "--tls-cert", KEY, "--tls-key", KEY],
    ["server", TOKEN],
    ["server", `--${TOKEN}`],
    ["key", "show", KEY],
    ["token", "hash", TOKEN, TOKEN],
    ["token", TOKEN],
    [TOKEN],
  ];
  for (const line of lines) {
    const { exitCode, stdout, stderr } = await outcomeOf(line);
    expect(exitCode, line.join(" ")).toBe(2);
    for (const part of [TOKEN.slice(17), "MC4CAQ"]) expect(`${stdout}${stderr}`).not.toContain(part);
  }
});
