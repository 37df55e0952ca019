import { expect, test } from "vitest";
import { KeyChallenges } from "../src/key-challenges.ts";

test("a challenge is good for 30 s, on the clock that it was made by", () => {
  const challenges = new KeyChallenges();
  const challenge = challenges.create(1000);
  expect(challenge).toMatch(/^[A-Za-z0-9_-]{16,256}$/);
  expect(challenges.isValid(challenge, 1000)).toBe(true);
  expect(challenges.isValid(challenge, 31_000)).toBe(true);
  expect(challenges.isValid(challenge, 31_001)).toBe(false);
});

test("T4: once used it is not good any more, and is remembered for as long as it would be", () => {
  const challenges = new KeyChallenges();
  const [first, second] = [challenges.create(0), challenges.create(0)];
  expect(challenges.use(first, 10)).toBe(true);
  expect(challenges.isValid(first, 10)).toBe(false);
  expect(challenges.isValid(second, 10)).toBe(true);
  for (let now = 20; now <= 30_000; now += 1000) {
    challenges.use(challenges.create(now), now);
    expect(challenges.isValid(first, now)).toBe(false);
  }
});

test("nothing is good that was not made here, or was changed", () => {
  const challenges = new KeyChallenges();
  const good = challenges.create(0);
  expect(new KeyChallenges().isValid(good, 0)).toBe(false);
  for (let at = 0; at < good.length; at += 7) {
    const changed = `${good.slice(0, at)}${good[at] === "A" ? "B" : "A"}${good.slice(at + 1)}`;
    expect(challenges.isValid(changed, 0)).toBe(false);
  }
  for (const other of ["", "A", good.slice(1), `${good}A`, `${good}=`, `${good}\n`]) {
    expect(challenges.isValid(other, 0)).toBe(false);
  }
});

test("no two are alike", () => {
  const challenges = new KeyChallenges();
  expect(new Set(Array.from({ length: 100 }, () => challenges.create(5))).size).toBe(100);
});

test("more than it can remember are not let in, until the first are forgotten", () => {
  const challenges = new KeyChallenges();
  for (let i = 0; i < 65_536; i += 1) expect(challenges.use(`challenge ${i}`, 0)).toBe(true);
  expect(challenges.use("one more", 29_999)).toBe(false);
  expect(challenges.use("one more", 30_000)).toBe(true);
});
