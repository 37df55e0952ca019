import { describe, expect, it, test } from "vitest";
import { outcomeOf, temporaryFile } from "./support.ts";

const FILE = `version: 1
users:
  alice:
    connect: { allow: ["db.internal:5432", "localhost:*", "10.0.0.0/8:*"], deny: ["10.0.0.1:*"] }
    listen: { allow: ["8000-8999"] }
  old:
    expires: 2020-01-01T00:00:00Z
    connect: { allow: ["*:*"] }
`;

async function check(...argv: string[]): Promise<[exitCode: number, stdout: string, stderr: string]> {
  const users = temporaryFile(FILE, 0o644);
  const { exitCode, stdout, stderr } = await outcomeOf([
    ...["policy", "check"],
    ...argv.map((word) => (word === "USERS" ? users : word)),
  ]);
  return [exitCode, stdout.replaceAll(users, "USERS"), stderr.replaceAll(users, "USERS")];
}

const ALICE = ["--users", "USERS", "--as", "alice"];

describe("culvert policy check", () => {
  it("names the rule that allows, and its place", async () => {
    expect(await check(...ALICE, "connect", "10.0.0.5:5432")).toEqual([
      0,
      'allowed: connect tcp://10.0.0.5:5432\n  allowed by users.alice.connect.allow[2] "10.0.0.0/8:*"\n',
      "",
    ]);
    expect(await check(...ALICE, "listen", "8080")).toEqual([
      0,
      'allowed: listen tcp://127.0.0.1:8080\n  allowed by users.alice.listen.allow[0] "8000-8999"\n',
      "",
    ]);
  });

  it("names the rule that denies, or says that none allows", async () => {
    const [code, text] = await check(...ALICE, "connect", "10.0.0.1:5432");
    expect(code).toBe(1);
    expect(text).toMatch(
      /^denied: .*\n {2}denied by users\.alice\.connect\.deny\[0\] "10\.0\.0\.1:\*", which wins/,
    );
    const [other, why] = await check(...ALICE, "listen", "0.0.0.0:443");
    expect([other, why]).toEqual([
      1,
      "denied: listen tcp://0.0.0.0:443\n  denied: no rule allows to listen on 0.0.0.0:443\n",
    ]);
    expect((await check(...ALICE, "connect", "127.1:80"))[0]).toBe(2);
  });

  it("looks up a name that may be allowed, and judges each address of it", async () => {
    const [code, text] = await check(...ALICE, "connect", "localhost:80");
    expect(code).toBe(0);
    expect(text).toMatch(/\n {2}127\.0\.0\.1: allowed by users\.alice\.connect\.allow\[1\] "localhost:\*"\n/);
  });

  it("looks up nothing when told which address, and nothing that cannot be allowed", async () => {
    expect((await check(...ALICE, "connect", "db.internal:5432", "--address", "192.0.2.7"))[0]).toBe(0);
    const [code, text] = await check(...ALICE, "connect", "db.internal:5432", "--address", "169.254.169.254");
    expect([code, text]).toEqual([1, expect.stringContaining("  169.254.169.254: denied: ") as string]);
    // No rule could allow that port, whatever the address.
    const [other, why] = await check(...ALICE, "connect", "nowhere.invalid:0");
    expect([other, why]).toEqual([2, ""]);
    const only = ["--allow-connect", "db.internal:5432", "connect", "nowhere.invalid:1"];
    expect((await check(...only))[1]).not.toContain("cannot be looked up");
    expect((await check(...only))[0]).toBe(1);
  });

  it("judges the name alone where it cannot be looked up, and says so", async () => {
    const rule = ["--allow-connect", "nowhere.invalid:80"];
    const [code, text] = await check(...rule, "connect", "nowhere.invalid:80");
    expect(code).toBe(0);
    expect(text).toMatch(
      /nowhere\.invalid cannot be looked up here \(\w+\): a server judges each of its addresses, too/,
    );
  });

  it("explains rules without a users file, too", async () => {
    expect(await check("--allow-connect", "db:5432", "connect", "db:5432", "--address", "10.0.0.5")).toEqual([
      0,
      'allowed: connect tcp://db:5432\n  10.0.0.5: allowed by --allow-connect[0] "db:5432"\n',
      "",
    ]);
    expect((await check("--allow-connect", "db:5432", "listen", "8080"))[0]).toBe(1);
    expect((await check("--allow-listen", "8080", "listen", "8080"))[0]).toBe(0);
    expect((await check("--allow-connect", "unix:/run/app.sock", "connect", "unix:///run/app.sock"))[0]).toBe(
      0,
    );
  });

  it("answers in JSON", async () => {
    const [code, text] = await check(
      ...ALICE,
      "connect",
      "db.internal:5432",
      "--address",
      "10.0.0.1",
      "--json",
    );
    expect([code, JSON.parse(text)]).toEqual([
      1,
      {
        as: "alice",
        allowed: false,
        action: "connect",
        endpoint: "tcp://db.internal:5432",
        reason: expect.stringContaining("users.alice.connect.deny[0]") as string,
        rule: { text: "10.0.0.1:*", where: "users.alice.connect.deny[0]" },
        addresses: [
          {
            address: "10.0.0.1",
            allowed: false,
            reason: expect.stringContaining("users.alice.connect.deny[0]") as string,
            rule: { text: "10.0.0.1:*", where: "users.alice.connect.deny[0]" },
          },
        ],
      },
    ]);
  });

  it("denies a user that has expired", async () => {
    expect(
      await check("--users", "USERS", "--as", "old", "connect", "db:1", "--address", "10.0.0.5"),
    ).toEqual([
      1,
      "denied: connect tcp://db:1\n  denied: old expired at 2020-01-01T00:00:00.000Z, and is let in no more\n",
      "",
    ]);
  });

  it("checks a file alone", async () => {
    expect(await check("--users", "USERS")).toEqual([
      0,
      "USERS: right; users: 2, tokens: 0, keys: 0, certificates: 0, expired: 1\n",
      "",
    ]);
    expect(JSON.parse((await check("--users", "USERS", "--json"))[1])).toMatchObject({
      users: 2,
      expired: ["old"],
    });
  });

  test.each<[string, string, RegExp]>([
    [
      "host bits set",
      FILE.replace("10.0.0.0/8", "10.0.0.1/8"),
      /users\.alice\.connect\.allow\[2\] "10\.0\.0\.1\/8:\*"/,
    ],
    [
      "a reversed range",
      FILE.replace("8000-8999", "8999-8000"),
      /users\.alice\.listen\.allow\[0\] "8999-8000"/,
    ],
    ["a misspelt key", FILE.replace("connect:", "conect:"), /did you mean connect/],
    ["an empty rule", FILE.replace("db.internal:5432", ""), /users\.alice\.connect\.allow\[0\] "": /],
  ])("G6: %s is refused with its place", async (_name, text, sentence) => {
    expect(text).not.toBe(FILE);
    const { exitCode, stdout, stderr } = await outcomeOf(["policy", "check", "--users", temporaryFile(text)]);
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(sentence);
  });

  test.each<[string, string | Uint8Array, RegExp]>([
    ["empty", "", /^culvert: /],
    ["not UTF-8", new Uint8Array([0x76, 0xff, 0xfe]), /UTF-8/],
    ["too large", new Uint8Array(1024 * 1024 + 1), /larger than 1024 KiB/],
    [
      "a bomb of anchors",
      `a: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefghi".replaceAll(/./g, (c) => `${c}: &${c} [${`*${String.fromCharCode(c.charCodeAt(0) - 1)},`.repeat(9).slice(0, -1)}]\n`)}`,
      /alias/i,
    ],
  ])("G9: a users file that is %s is refused", async (_name, content, sentence) => {
    const { exitCode, stdout, stderr } = await outcomeOf([
      "policy",
      "check",
      "--users",
      temporaryFile(content),
    ]);
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(sentence);
    expect(stderr.split("\n")).toHaveLength(2);
  });

  it("refuses a users file that everybody may change", async () => {
    const file = temporaryFile(FILE, 0o646);
    expect((await outcomeOf(["policy", "check", "--users", file])).stderr).toBe(
      `culvert: --users ${file}: every user of this machine may change the file (mode 646); run chmod o-w ${file}.\n`,
    );
  });

  it.each<[string[], RegExp]>([
    [[], /^culvert: there is nothing to check: add --users <file>/],
    [["--users", "USERS", "--as", "alice"], /^culvert: the action and the endpoint are missing/],
    [[...ALICE, "conect", "db:1"], /^culvert: the action conect is not known: did you mean connect\?\n$/],
    [[...ALICE, "connect"], /^culvert: the endpoint is missing: /],
    [[...ALICE, "connect", "db"], /the port is missing/],
    [["connect", "db:1"], /^culvert: there are no rules to check: /],
    [["--users", "USERS", "connect", "db:1"], /^culvert: who asks is missing: add --as <name>/],
    [
      ["--users", "USERS", "--as", "alcie", "connect", "db:1"],
      /^culvert: --as alcie is not one of the users of USERS: did you mean alice\?\n$/,
    ],
    [["--as", "alice", "connect", "db:1"], /^culvert: --as names one of the users: add --users/],
    [[...ALICE, "--allow-connect", "a:1", "connect", "db:1"], /^culvert: --users and --allow-connect/],
    [
      ["--allow-connect", "10.0.0.1/8:*", "connect", "db:1"],
      /^culvert: --allow-connect\[0\] "10\.0\.0\.1\/8:\*": /,
    ],
    [
      [...ALICE, "connect", "db:1", "--address", "10.0.0"],
      /^culvert: --address 10\.0\.0 is not an IP address/,
    ],
    [["--user", "USERS"], /^culvert: there is no flag --user: did you mean --users\?\n$/],
  ])("G1: refuses %j in one sentence", async (argv, sentence) => {
    const [exitCode, stdout, stderr] = await check(...argv);
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(sentence);
  });
});
