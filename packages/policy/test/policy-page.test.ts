import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseUsers } from "../src/index.ts";
import { MAX_RULES } from "../src/rule.ts";
import { ask, connecting, listening } from "./support/asking.ts";

const PAGE = readFileSync(new URL("../../../docs/policy.md", import.meta.url), "utf8");

test("the users file in docs/policy.md is right", () => {
  const [, yaml] = /```yaml\n([\s\S]*?)```/.exec(PAGE)!;
  const users = parseUsers(yaml!, "docs/policy.md");
  expect([...users.byName.keys()]).toEqual(["alice", "build-server"]);
  expect(users.byTokenId.size + users.byKey.size + users.byCertificate.size).toBe(5);
});

test("the sentences in docs/policy.md are those of decisions", () => {
  const isOwn = () => true;
  const said = [
    ask(connecting(["db.internal:5432"]), "connect", "db.internal:5432", "10.0.0.5"),
    ask(connecting(["10.0.0.0/8:*"]), "connect", "db.internal:5432"),
    ask(connecting(["10.0.0.0/8:*"], ["10.0.0.1:*"]), "connect", "10.0.0.1:80"),
    ask(connecting(["db.internal:5432"]), "connect", "db.internal:5433"),
    ask(connecting(["*:*"]), "connect", "127.0.0.1:80"),
    ask(connecting([]), "connect", "10.0.0.5:9000", undefined, { isOwn }),
    ask(listening(["8022"]), "listen", "0.0.0.0:8022"),
    ask(listening(["*:*"]), "listen", "127.0.0.1:80"),
    ask(listening(["0.0.0.0/0:*"]), "listen", "0.0.0.0:8080"),
    ask(connecting(["loopback:*"]), "connect", "localhost:80", "10.0.0.5"),
  ];
  for (const { reason } of said) {
    const [first, ...others] = reason.split(/users\.alice\.\w+\.\w+\[0\] /);
    // The page leaves out the places of rules, except in its first line.
    expect(
      [reason, [first, ...others].join("… ")].some((text) => PAGE.includes(`\`${text}\``)),
      reason,
    ).toBe(true);
  }
});

test("the bounds in docs/policy.md are those of the code", () => {
  expect(PAGE).toContain(`| ${MAX_RULES}, of 512 characters`);
});
