import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { newToken } from "../src/index.ts";

test("T2: a token is an id and 256 bits, and what is kept of it is a hash", () => {
  const { text, digest } = newToken();
  expect(text).toMatch(/^culvert_[a-z0-9]{8}_[A-Za-z0-9_-]{43}$/);
  const [, id, secret = ""] = /^culvert_([a-z0-9]{8})_(.*)$/.exec(text) ?? [];
  expect(Buffer.from(secret, "base64url")).toHaveLength(32);
  expect(digest).toBe(`${id}:sha256:${createHash("sha256").update(text).digest("base64url")}`);
  expect(digest).not.toContain(secret);
});

test("no two are alike, in either part", () => {
  const tokens = Array.from({ length: 200 }, () => newToken().text.split("_"));
  expect(new Set(tokens.map(([, id]) => id)).size).toBe(200);
  expect(new Set(tokens.map((parts) => parts.slice(2).join("_"))).size).toBe(200);
});
