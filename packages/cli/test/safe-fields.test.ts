import { safeText } from "@culvert/peer";
import { describe, expect, it } from "vitest";
import { safeFields } from "../src/safe-fields.ts";

describe("safeText", () => {
  it.each([
    ["plain", "plain"],
    ["naïve 日本 🙂", "naïve 日本 🙂"],
    ["a\nb\r\tc", "a\\u000ab\\u000d\\u0009c"],
    ["\u001b]0;title\u0007", "\\u001b]0;title\\u0007"],
    ["\u009b2J\u007f", "\\u009b2J\\u007f"],
    ["user\u202Etxt.exe", "user\\u202etxt.exe"],
    ["\u2066\u200b\ufeff\u2028", "\\u2066\\u200b\\ufeff\\u2028"],
    ["\ud800x", "\\ud800x"],
  ])("makes %j harmless", (text, safe) => {
    expect(safeText(text)).toBe(safe);
  });

  it("cuts at 256 bytes, never within a character", () => {
    expect(safeText("a".repeat(256))).toBe("a".repeat(256));
    expect(safeText("a".repeat(65_536))).toBe(`${"a".repeat(256)}…`);
    expect(safeText("é".repeat(128))).toBe("é".repeat(128));
    expect(safeText(`a${"é".repeat(128)}`)).toBe(`a${"é".repeat(127)}…`);
    expect(safeText("🙂".repeat(100))).toBe(`${"🙂".repeat(64)}…`);
  });
});

describe("safeFields", () => {
  it("leaves room for a reason, whose mend is at its end", () => {
    expect(safeFields({ reason: "x".repeat(1024) })).toEqual({ reason: "x".repeat(1024) });
    expect(safeFields({ reason: "x".repeat(2000) })).toEqual({ reason: `${"x".repeat(1024)}…` });
  });

  it("keeps numbers and the like, and cleans texts at every depth", () => {
    const fields = {
      n: 1,
      rttMs: 39.82203900000002,
      b: true,
      nothing: null,
      big: 2n ** 60n,
      text: "a\nb",
      list: ["\u001b", { deep: "\u001b" }],
    };
    expect(safeFields(fields)).toEqual({
      n: 1,
      rttMs: 39.822,
      b: true,
      nothing: null,
      big: "1152921504606846976",
      text: "a\\u000ab",
      list: ["\\u001b", { deep: "\\u001b" }],
    });
  });

  it("never shows payload, and stops at some depth", () => {
    expect(safeFields({ chunk: Buffer.from("secret"), of: new Map([["a", 1]]) })).toEqual({
      chunk: "6 bytes",
      of: "1 entries",
    });
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    expect(JSON.stringify(safeFields(circle)).length).toBeLessThan(100);
  });

  it("shows an error with its causes, and its stack only when asked", () => {
    const cause = Object.assign(new Error("in\nner"), { code: "ECONNREFUSED" });
    const error = new TypeError("outer", { cause });
    expect(safeFields({ error })).toEqual({
      error: {
        type: "TypeError",
        message: "outer",
        cause: { type: "Error", message: "in\\u000aner", code: "ECONNREFUSED" },
      },
    });
    const { error: withStack } = safeFields({ error }, { withStacks: true }) as { error: { stack: string } };
    expect(withStack.stack).toMatch(/^TypeError: outer\n {4}at /);
  });
});
