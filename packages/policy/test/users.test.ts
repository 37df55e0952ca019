import { describe, expect, test } from "vitest";
import { formatCertificateMatch, parseGrants, parseUsers } from "../src/index.ts";
import { ask, invalidOption } from "./support/asking.ts";

const DIGEST = `${"A".repeat(42)}E`;
const KEY = `ed25519:${"A".repeat(42)}E=`;
const SPKI = `sha256:${"B".repeat(42)}E=`;

const FILE = `
# yaml-language-server: $schema=./users.schema.json
version: 1
users:
  alice:
    tokens: ["k3v9q2m1:sha256:${DIGEST}", "aaaaaaaa:sha256:${DIGEST}"]
    keys: ["${KEY}"]
    certificates: ["${SPKI}", "dns:Laptop.Example.", "email:Alice@Example.com", "uri:spiffe://example.org/alice"]
    expires: 2027-01-01T00:00:00Z
    connect: { allow: ["db.internal:5432", "*.svc.internal:80,443", "10.0.0.0/8:*"], deny: ["10.0.0.1:*"] }
    listen: { allow: ["8000-8999", 9000, "0.0.0.0:443"] }
    limits: { sessions: 2, streams: 100, listeners: 10, opensPerSecond: 50 }
  bob@example.com: {}
`;

describe("a users file", () => {
  test("is read, and each credential leads to its user", () => {
    const users = parseUsers(FILE, "users.yaml");
    const alice = users.byName.get("alice")!;
    expect([...users.byName.keys()]).toEqual(["alice", "bob@example.com"]);
    expect(alice.expiresAt).toBe(Date.UTC(2027, 0, 1));
    expect(alice.grants.limits).toEqual({ sessions: 2, streams: 100, listeners: 10, opensPerSecond: 50 });
    expect(users.byTokenId.get("k3v9q2m1")).toEqual({
      user: alice,
      token: { id: "k3v9q2m1", sha256: DIGEST },
    });
    expect([...users.byTokenId.keys()]).toEqual(["k3v9q2m1", "aaaaaaaa"]);
    expect(users.byKey.get(KEY)).toBe(alice);
    expect([...users.byCertificate.keys()]).toEqual([
      SPKI,
      "dns:laptop.example",
      "email:Alice@example.com",
      "uri:spiffe://example.org/alice",
    ]);
    expect(alice.certificates.map(formatCertificateMatch)).toEqual([...users.byCertificate.keys()]);
    expect(ask(alice.grants, "connect", "10.0.0.1:80").reason).toBe(
      'denied by users.alice.connect.deny[0] "10.0.0.1:*", which wins over users.alice.connect.allow[2] "10.0.0.0/8:*"',
    );
    expect(ask(alice.grants, "listen", "127.0.0.1:9000").rule?.where).toBe("users.alice.listen.allow[1]");
    const bob = users.byName.get("bob@example.com")!;
    expect(bob.expiresAt).toBeUndefined();
    expect(ask(bob.grants, "connect", "db.internal:5432").allowed).toBe(false);
  });

  test("may be JSON, with tabs and a byte order mark, as text or as bytes", () => {
    const json =
      '\ufeff{\n\t"version": 1,\n\t"users": {\n\t\t"a": { "listen": { "allow": ["80"] } }\n\t}\n}\n';
    for (const input of [json, new TextEncoder().encode(json)]) {
      expect([...parseUsers(input, "users.json").byName.keys()]).toEqual(["a"]);
    }
  });

  test("may say things once, by an anchor and its aliases", () => {
    const text =
      "version: 1\nusers:\n  a: { connect: { allow: &web ['*.example:80'] } }\n  b: { connect: { allow: *web } }";
    const { byName } = parseUsers(text, "users.yaml");
    expect(ask(byName.get("b")!.grants, "connect", "x.example:80").rule?.where).toBe(
      "users.b.connect.allow[0]",
    );
  });

  test("cannot be changed once it is read (T26: who swaps it swaps all of it)", () => {
    const users = parseUsers(FILE, "users.yaml");
    const alice = users.byName.get("alice")!;
    for (const value of [
      users,
      alice,
      alice.tokens,
      alice.certificates,
      alice.grants,
      alice.grants.connect.allow,
    ]) {
      expect(Object.isFrozen(value)).toBe(true);
    }
    expect(Object.isFrozen(alice.grants.connect.allow[0])).toBe(true);
  });

  test("T26: one mistake anywhere, and nothing of it is taken", () => {
    const lines = Array.from({ length: 500 }, (_, at) => `  u${at}: { listen: { allow: ['8000'] } }`);
    const text = (last: string) =>
      `version: 1\nusers:\n${lines.join("\n")}\n  last: { listen: { allow: [${last}] } }\n`;
    expect(parseUsers(text("'8000'"), "users.yaml").byName.size).toBe(501);
    expect(invalidOption(() => parseUsers(text("'9000-8000'"), "users.yaml"))).toBe(
      'users.yaml: users.last.listen.allow[0] "9000-8000": the range of ports ends before it begins; write 8000-9000',
    );
  });
});

function faultOf(users: string): string {
  return invalidOption(() => parseUsers(`version: 1\nusers:\n${users}`, "users.yaml"));
}

describe("G1: a misspelt key gets a suggestion:", () => {
  test.each([
    ["  a: { conect: {} }", 'users.yaml: users.a: there is no key "conect": did you mean connect?'],
    ["  a: { tokn: [] }", 'users.yaml: users.a: there is no key "tokn": did you mean tokens?'],
    [
      "  a: { connect: { alow: [] } }",
      'users.yaml: users.a.connect: there is no key "alow": did you mean allow?',
    ],
    [
      "  a: { limits: { stream: 1 } }",
      'users.yaml: users.a.limits: there is no key "stream": did you mean streams?',
    ],
    ["  a: { limits: { rate: 1 } }", "the keys here are sessions, streams, listeners, opensPerSecond"],
    ["  a: { <<: { limits: {} } }", 'users.a: there is no key "<<"'],
    ["  a: {}\nuser: {}", 'users.yaml: there is no key "user": did you mean users?'],
  ])("%s", (users, detail) => expect(faultOf(users)).toContain(detail));

  test("in an option too", () => {
    const grants = { conect: {} } as object;
    expect(invalidOption(() => parseGrants(grants, "grants"))).toBe(
      'grants: there is no key "conect": did you mean connect?',
    );
    for (const input of [undefined, null, [], "x", 1, { connect: null }, { connect: { allow: "x:1" } }]) {
      expect(invalidOption(() => parseGrants(input as object, "grants"))).toMatch(
        /^grants.*: must be a (map|list)/,
      );
    }
    expect(invalidOption(() => parseGrants({ connect: { allow: [80] } }, "grants"))).toContain(
      "grants.connect.allow[0]: must be text; put it in quotes",
    );
  });
});

describe("what is wrong is named with its place and its mend:", () => {
  test.each([
    ["  a:", "users.a: must be a map of keys to values"],
    ["  a: { connect: }", "users.a.connect: must be a map"],
    ["  a: { connect: { allow: } }", "users.a.connect.allow: must be a list"],
    ["  a: { connect: { allow: 'x:1' } }", "users.a.connect.allow: must be a list"],
    ["  a: { connect: { allow: [[x]] } }", "users.a.connect.allow[0]: must be text"],
    ["  a: { listen: { allow: [70000] } }", "users.a.listen.allow[0]: must be at most 65535"],
    [
      "  a: { listen: { allow: [true] } }",
      "users.a.listen.allow[0]: a rule is text, or a port from 0 to 65535",
    ],
    ["  a: { limits: { streams: 0 } }", "users.a.limits.streams: must be at least 1"],
    ["  a: { limits: { streams: 1.5 } }", "users.a.limits.streams: must be a whole number"],
    ["  a: { limits: { streams: '5' } }", "users.a.limits.streams: must be a number"],
    ["  a: { limits: { streams: 1000001 } }", "users.a.limits.streams: must be at most 1000000"],
    ["  a b: {}", "the name of a user is 1 to 64"],
    ["  ../a: {}", "the name of a user is 1 to 64"],
    ["  __proto__: {}", "line 3, column 3: this key cannot be"],
    ["  a: { __proto__: {} }", "line 3, column 8: this key cannot be"],
    ["  ? [a]\n  : {}", "a key is text"],
    ["  a: {}\n  a: {}", "line 4, column 3: this key is there twice"],
    ["  a: { expires: 2027-01-01 }", "users.a.expires: write a moment with its zone"],
    ["  a: { expires: 2027-01-01T00:00:00 }", "users.a.expires: write a moment with its zone"],
    ["  a: { expires: 2027-02-30T00:00:00Z }", "users.a.expires: write a moment with its zone"],
    ["  a: { expires: 2027-13-01T00:00:00Z }", "users.a.expires: write a moment with its zone"],
    ["  a: { expires: 1798761600 }", "users.a.expires: must be text"],
    ["  a: { certificates: ['dns:*.example'] }", "users.a.certificates[0]: a user is one exact name"],
    ["  a: { certificates: ['dns:10.0.0.1'] }", "must be a name, not an address"],
    ["  a: { certificates: ['cn:alice'] }", "write sha256:BASE64 of the public key, dns:NAME"],
    ["  a: { certificates: ['sha256:abc'] }", "after sha256: come the 32 bytes in base64"],
    ["  a: { certificates: ['email:alice'] }", "after email: comes one address"],
    ["  a: { certificates: ['uri:x y'] }", "after uri: comes a whole URI"],
    ["  a: { keys: ['ed25519:abc'] }", "users.a.keys[0]: write ed25519:BASE64"],
    ["  a: !!set {}", "line 3, column 12: tags (!…) have no meaning here"],
    ["  a: !x {}", "tags (!…) have no meaning here"],
    ["  a: *b", "this alias has no anchor before it"],
    ["  a: { listen: { allow: [80 } }", "line 3, column "],
    ["  a: {}\n---\nversion: 1", "a second document begins here"],
    ["\ta: {}", "a tab cannot indent; use spaces"],
  ])("%s", (users, detail) => {
    expect(faultOf(users)).toMatch(/^users\.yaml: /);
    expect(faultOf(users)).toContain(detail);
  });

  test.each([
    ["users: {}", "users.yaml: version: must be 1"],
    ["version: 2\nusers: {}", "users.yaml: version: must be 1"],
    ["version: '1'\nusers: {}", "users.yaml: version: must be 1"],
    ["version: 1", "users.yaml: users: must be a map"],
    ["just text", "users.yaml: must be a map"],
    ["- a", "users.yaml: must be a map"],
  ])("%s", (text, detail) => {
    expect(invalidOption(() => parseUsers(text, "users.yaml"))).toContain(detail);
  });

  test("two users cannot have one credential, nor one user have it twice", () => {
    const two = (line: string) => faultOf(`  alice: { ${line} }\n  bob: { ${line} }`);
    expect(two(`tokens: ["k3v9q2m1:sha256:${DIGEST}"]`)).toContain(
      "users.bob.tokens[0] (the id k3v9q2m1) is users.alice's too; a credential leads to one user",
    );
    expect(two(`keys: ["${KEY}"]`)).toContain("users.bob.keys[0] is users.alice's too");
    expect(two(`certificates: ["${SPKI}"]`)).toContain("users.bob.certificates[0] is users.alice's too");
    expect(faultOf("  a: { certificates: ['dns:x.example', 'dns:X.example.'] }")).toContain(
      "users.a.certificates[1] is there twice",
    );
  });

  test("G15: any year that can be written is a moment, and nothing here asks for the time", () => {
    const expires = (text: string) =>
      parseUsers(`version: 1\nusers: { a: { expires: ${text} } }`, "u").byName.get("a")?.expiresAt;
    expect(expires("1970-01-01T00:00:00Z")).toBe(0);
    expect(expires("2100-01-01T00:00:00.5+01:00")).toBe(Date.UTC(2099, 11, 31, 23, 0, 0, 500));
    expect(expires("2028-02-29T12:00Z")).toBe(Date.UTC(2028, 1, 29, 12));
  });
});

test("no secret that got into the file by mistake is ever shown", () => {
  const secret = "hunter2Secret".padEnd(43, "x");
  const key = "-----BEGIN PRIVATE KEY----- hunter2Secret";
  for (const users of [
    `  a: { tokens: ["culvert_k3v9q2m1_${secret}"] }`,
    `  a: { tokens: ["${secret}"] }`,
    `  a: { tokens: "culvert_k3v9q2m1_${secret}" }`,
    `  a: { tokens: [{ ${secret}: 1 }] }`,
    `  a: { keys: ["${key}"] }`,
    `  a: { certificates: ["sha256:${secret}"] }`,
    `  a: { tokens: ["${secret}] }`,
    `  a: { tokens: [!${secret} x] }`,
    `  a: { tokens: [*${secret}] }`,
    `  a: { tokens: [ ${secret}: { ] }`,
    `  a:\n ${secret}\n  b`,
    `  a: "\\${secret}"`,
  ]) {
    expect(faultOf(users)).not.toContain("hunter2");
  }
  expect(faultOf(`  a: { tokens: ["culvert_k3v9q2m1_${secret}"] }`)).toContain("this is the token itself");
  expect(faultOf(`  a: { keys: ["${key}"] }`)).toContain("this is a private key");
});

describe("G9: a file that is none, or a bomb, is refused:", () => {
  const nested = (depth: number) => {
    const levels = Array.from(
      { length: depth },
      (_, at) => `l${at + 1}: &l${at + 1} [${`*l${at},`.repeat(9)}]`,
    );
    return `l0: &l0 [x]\n${levels.join("\n")}\n`;
  };
  test.each<[string, string | Uint8Array, string]>([
    ["empty", "", "is empty; it begins with `version: 1`"],
    ["spaces", " \n\n", "is empty"],
    ["a comment", "# nobody yet\n", "is empty"],
    ["null", "~", "is empty"],
    ["Latin-1", Uint8Array.from([0x61, 0x3a, 0x20, 0xe4]), "is not UTF-8"],
    ["Latin-1 that was read as UTF-8", "a: \ufffd", "is not UTF-8"],
    ["UTF-16", Uint8Array.from([0xff, 0xfe, 0x61, 0]), "is not UTF-8"],
    ["UTF-16 without a mark", Uint8Array.from([0x61, 0, 0x3a, 0]), "is not UTF-8"],
    ["too large", "#".repeat(1024 * 1024 + 1), "is larger than 1 MiB"],
    ["100 MB", new Uint8Array(100_000_000), "is larger than 1 MiB"],
    ["aliases of aliases", nested(9), "has aliases that stand for too much"],
    [
      "few aliases of a lot",
      `v: &v [${"x,".repeat(100_000)}]\nw: [${"*v,".repeat(50)}]`,
      "has aliases that stand for too much",
    ],
    ["an alias of itself", "users: &u\n  a: *u", "nested deeper than 8 levels"],
    ["open brackets", "[".repeat(1024 * 1024), "nested deeper than 8 levels"],
    ["open braces", "{".repeat(1024 * 1024), "nested deeper than 8 levels"],
    ["lists in lists", "- ".repeat(5000), "nested deeper than 8 levels"],
    ["9 levels", "[[[[[[[[[1]]]]]]]]]", "nested deeper than 8 levels"],
  ])("%s", (_, input, detail) => {
    expect(invalidOption(() => parseUsers(input, "users.yaml"))).toContain(detail);
  });

  test("the name of the file is shown as it is, or escaped where it must be", () => {
    expect(invalidOption(() => parseUsers("", "/etc/culvert/users.yaml"))).toMatch(
      /^\/etc\/culvert\/users.yaml: is empty/,
    );
    expect(invalidOption(() => parseUsers("", "a\u001b[2J\nb"))).toMatch(/^"[ -~]*": is empty/);
  });
});
