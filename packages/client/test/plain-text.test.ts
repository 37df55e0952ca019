import { expect, it } from "vitest";
import { isPlainText } from "../src/plain-text.ts";

it.each(["", "host2", "naïve 日本 🙂", "a b", '"\\', "x".repeat(255), "👩\u200d🚀"])("takes %j", (text) => {
  expect(isPlainText(text)).toBe(true);
});

it.each([
  "\u0000",
  "a\nb",
  "\u007f",
  "\u0085",
  "\u2028",
  "\u2029",
  "\u200e",
  "\u200f",
  "\u202a",
  "\u202e",
  "\u2066",
  "\u2069",
])("does not take %j", (text) => {
  expect(isPlainText(text)).toBe(false);
});
