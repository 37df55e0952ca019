import { describe, expect, test } from "vitest";
import { decide, EVERYTHING, NOTHING } from "../src/index.ts";
import { ask, connecting, listening } from "./support/asking.ts";

describe("to connect", () => {
  test("nothing is allowed that no rule allows", () => {
    expect(ask(NOTHING, "connect", "db.internal:5432").reason).toBe(
      "denied: no rule allows to connect to db.internal:5432",
    );
    expect(ask(NOTHING, "connect", "[fd00::1]:5432").reason).toBe(
      "denied: no rule allows to connect to [fd00::1]:5432",
    );
    expect(ask(NOTHING, "connect", "unix:///run/x.sock").allowed).toBe(false);
    expect(ask(listening(["*:*"]), "connect", "10.0.0.1:80").allowed).toBe(false);
  });

  test("everything is, for who may do everything", () => {
    expect(ask(EVERYTHING, "connect", "127.0.0.1:80").allowed).toBe(true);
    expect(ask(EVERYTHING, "listen", "0.0.0.0:80").allowed).toBe(true);
    expect(ask(EVERYTHING, "connect", "unix:///run/x.sock").allowed).toBe(true);
  });

  test("a name is allowed by its name, and then each of its addresses again", () => {
    const grants = connecting(["db.internal:5432"]);
    expect(ask(grants, "connect", "db.internal:5432")).toMatchObject({
      allowed: true,
      rule: { text: "db.internal:5432", where: "users.alice.connect.allow[0]" },
    });
    expect(ask(grants, "connect", "DB.internal.:5432", "10.0.0.5").reason).toBe(
      'allowed by users.alice.connect.allow[0] "db.internal:5432"',
    );
    expect(ask(grants, "connect", "db.internal:5432", "8.8.8.8").allowed).toBe(true);
    // It is the name that is allowed, not its address.
    expect(ask(grants, "connect", "10.0.0.5:5432").allowed).toBe(false);
    expect(ask(grants, "connect", "other.internal:5432", "10.0.0.5").allowed).toBe(false);
    expect(ask(grants, "connect", "db.internal:5433").reason).toBe(
      'denied: no rule allows to connect to db.internal:5433; users.alice.connect.allow[0] "db.internal:5432" is for other ports',
    );
  });

  test("T18: a name that is allowed gets no special address, whatever its resolver says", () => {
    const grants = connecting([
      "db.internal:5432",
      "*.internal:5432",
      "*:5432",
      "0.0.0.0/0:5432",
      "[::/0]:5432",
    ]);
    for (const address of [
      "127.0.0.1",
      "169.254.169.254",
      "::1",
      "0.0.0.0",
      "::ffff:127.0.0.1",
      "64:ff9b::7f00:1",
    ]) {
      expect(ask(grants, "connect", "db.internal:5432", address).allowed, address).toBe(false);
    }
    expect(ask(grants, "connect", "db.internal:5432", "127.0.0.1").reason).toBe(
      "denied: 127.0.0.1 is a loopback address, which only a rule that names it allows; " +
        'users.alice.connect.allow[0] "db.internal:5432" does not',
    );
    for (const answer of ["db.internal", "", "127.1", "10.0.0.1 ", "fe80::1%lo", "10.0.0.1:5432"]) {
      expect(ask(grants, "connect", "db.internal:5432", answer).reason).toContain("is not an IP address");
    }
  });

  test("a name is looked up only if some address of it could be allowed", () => {
    expect(ask(connecting(["10.0.0.0/8:80"]), "connect", "x.example:80").allowed).toBe(true);
    expect(ask(connecting(["10.0.0.0/8:80"]), "connect", "x.example:81").allowed).toBe(false);
    expect(ask(connecting(["10.0.0.0/8:80"]), "connect", "x.example:80", "11.0.0.1").allowed).toBe(false);
    expect(ask(connecting(["10.0.0.0/8:80"]), "connect", "x.example:80", "10.0.0.1").allowed).toBe(true);
    expect(ask(connecting(["db.internal:80"]), "connect", "x.example:80").allowed).toBe(false);
    expect(ask(connecting(["*:*"], ["x.example:*"]), "connect", "x.example:80").allowed).toBe(false);
    expect(ask(connecting(["*:*"], ["10.0.0.0/8:*"]), "connect", "x.example:80").allowed).toBe(true);
    expect(ask(connecting(["*:*"], ["*:80"]), "connect", "x.example:80").allowed).toBe(false);
  });

  test("localhost means loopback, and so do the names below it", () => {
    for (const name of ["localhost", "LOCALHOST.", "app.localhost"]) {
      expect(ask(connecting(["*:*", "10.0.0.0/8:*"]), "connect", `${name}:80`).allowed, name).toBe(false);
      for (const rule of ["loopback:80", "localhost:80", "127.0.0.1:80", "127.0.0.0/8:*", "[::1]:80"]) {
        expect(ask(connecting([rule]), "connect", `${name}:80`).allowed, rule).toBe(true);
      }
      expect(ask(connecting(["loopback:80"]), "connect", `${name}:81`).allowed).toBe(false);
      expect(ask(connecting(["loopback:*"], ["loopback:80"]), "connect", `${name}:80`).allowed).toBe(false);
      expect(ask(connecting(["loopback:*"]), "connect", `${name}:80`, "127.0.0.1").allowed).toBe(true);
      expect(ask(connecting(["127.0.0.1:*"]), "connect", `${name}:80`, "::1").allowed).toBe(false);
      // What a hosts file makes of it is not what was granted.
      expect(ask(connecting(["loopback:*", "*:*"]), "connect", `${name}:80`, "10.0.0.1").allowed).toBe(false);
    }
  });

  test("deny wins, by the name that was asked for and by the address that is dialed", () => {
    const grants = connecting(["*:*"], ["10.0.0.1:*", "evil.example:*", "*.bad.example:80"]);
    expect(ask(grants, "connect", "10.0.0.1:80").reason).toBe(
      'denied by users.alice.connect.deny[0] "10.0.0.1:*", which wins over users.alice.connect.allow[0] "*:*"',
    );
    expect(ask(grants, "connect", "any.example:80", "10.0.0.1").allowed).toBe(false);
    expect(ask(grants, "connect", "any.example:80", "10.0.0.2").allowed).toBe(true);
    expect(ask(grants, "connect", "evil.example:80", "10.0.0.2").allowed).toBe(false);
    expect(ask(grants, "connect", "a.bad.example:80", "10.0.0.2").allowed).toBe(false);
    expect(ask(grants, "connect", "a.bad.example:81", "10.0.0.2").allowed).toBe(true);
    expect(ask(grants, "connect", "bad.example:80", "10.0.0.2").allowed).toBe(true);
    expect(ask(connecting(["a.x:1"], ["a.x:1"]), "connect", "a.x:1").reason).toContain("which wins over");
  });

  test("G6: a deny that swallows an allow is no error, and the reason names both", () => {
    expect(ask(connecting(["10.0.0.1:80"], ["10.0.0.0/8:*"]), "connect", "10.0.0.1:80").reason).toBe(
      'denied by users.alice.connect.deny[0] "10.0.0.0/8:*", which wins over users.alice.connect.allow[0] "10.0.0.1:80"',
    );
  });

  test("an address that is dialed must be allowed even where another one was asked for", () => {
    const grants = connecting(["10.0.0.1:80"]);
    expect(ask(grants, "connect", "10.0.0.1:80", "10.0.0.1").allowed).toBe(true);
    expect(ask(grants, "connect", "10.0.0.1:80", "::ffff:10.0.0.1").allowed).toBe(true);
    expect(ask(grants, "connect", "10.0.0.1:80", "10.0.0.2").allowed).toBe(false);
    expect(ask(grants, "connect", "10.0.0.2:80", "10.0.0.1").allowed).toBe(false);
  });

  test("a host that is not in canonical form is denied, and so is port 0", () => {
    const grants = connecting(["*:*", "loopback:*"]);
    for (const host of [
      "Db.internal",
      "db.internal.",
      "127.1",
      "0x7f.1",
      "::FFFF:1.2.3.4",
      "[::1]",
      "",
      "a b",
      "a:b",
    ]) {
      const endpoint = { scheme: "tcp", host, port: 80 } as const;
      expect(decide(grants, { action: "connect", endpoint }).allowed, host).toBe(false);
      expect(decide(grants, { action: "connect", endpoint, address: "8.8.8.8" }).allowed, host).toBe(false);
    }
    expect(ask(grants, "connect", "8.8.8.8:0").allowed).toBe(false);
  });

  test("a Unix socket is allowed by its path only", () => {
    const grants = connecting(["unix:/run/db.sock", "unix:/run/no.sock", "*:*"], ["unix:/run/no.sock"]);
    expect(ask(grants, "connect", "unix:///run/db.sock").allowed).toBe(true);
    expect(ask(grants, "connect", "unix:///run/no.sock").allowed).toBe(false);
    expect(ask(grants, "connect", "unix:///run/other.sock").reason).toBe(
      'denied: no rule allows to connect to "unix:/run/other.sock"',
    );
    expect(ask(connecting(["unix:/run/db.sock"]), "listen", "unix:///run/db.sock").allowed).toBe(false);
  });
});

test("T17: one function and one verdict, whatever asked: -L, SOCKS5 and all others bring an endpoint and an address", () => {
  const grants = connecting(["10.0.0.0/8:80"], ["10.0.0.1:*"]);
  const verdicts = ["10.0.0.1", "10.0.0.2", "11.0.0.1"].map((address) => {
    return new Set(
      [`${address}:80`, `tcp://${address}:80`, `[::ffff:${address}]:80`, "named.example:80"].map(
        (text) => ask(grants, "connect", text, address).allowed,
      ),
    );
  });
  expect(verdicts).toEqual([new Set([false]), new Set([true]), new Set([false])]);
});

/** Where each spelling ends up when a resolver reads it as inet_aton would. */
const SPELLINGS_OF_LOOPBACK = [
  ...[
    "127.1",
    "0x7f.1",
    "0177.0.0.1",
    "2130706433",
    "0x7f000001",
    "127.0.1",
    "①②⑦.0.0.1",
    "127。0。0。1",
    "0",
    "00",
  ],
  ...[
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
  ],
  ...[
    "[64:ff9b::127.0.0.1]",
    "[2001:0:1:1::80ff:fffe]",
    "[2001:0:7f00:1::]",
    "[::ffff:0:127.0.0.1]",
    "[::1%lo]",
  ],
  ...[
    "127.0.0.1",
    "127.0.0.1.",
    "127.255.255.254",
    "0.0.0.0",
    "[::]",
    "[::1]",
    "localhost",
    "LOCALHOST.",
    "x.localhost",
  ],
];

describe("T19: every spelling of a forbidden address is refused", () => {
  const wide = ["*:*", "0.0.0.0/0:*", "[::/0]:*", "public:*", "private:*"];
  const unnamed = connecting(wide);
  // Loopback granted by name, and denied by address: that holds against every spelling.
  const denied = connecting([...wide, "loopback:*", "unspecified:*"], ["127.0.0.0/8:*", "[::1]:*"]);

  test.each(SPELLINGS_OF_LOOPBACK)("%s", (spelling) => {
    const text = `${spelling}:80`;
    // A name is denied at the latest with its address.
    const isName = /localhost/i.test(spelling);
    expect(ask(unnamed, "connect", text).allowed).toBe(false);
    expect(ask(denied, "connect", text).allowed).toBe(isName);
    for (const address of ["127.0.0.1", "::1", "::ffff:7f00:1"]) {
      expect(ask(unnamed, "connect", text, address).allowed).toBe(false);
      expect(ask(denied, "connect", text, address).allowed).toBe(false);
    }
  });
});

describe("T20: special addresses and the server's own ports need a rule that names them", () => {
  const wide = ["*:*", "0.0.0.0/0:*", "[::/0]:*", "private:*", "public:*", "100.64.0.0/10:*", "[fc00::/7]:*"];
  test.each([
    ["127.0.0.1", ["loopback:80", "localhost:80", "127.0.0.1:80", "127.0.0.0/8:*", "127.0.0.0/30:80"]],
    ["[::1]", ["loopback:80", "[::1]:80"]],
    ["169.254.169.254", ["link-local:80", "169.254.169.254:80", "169.254.0.0/16:*"]],
    ["[fe80::1]", ["link-local:80", "[fe80::/10]:80", "[fe80::1]:80"]],
    ["224.0.0.1", ["multicast:80", "224.0.0.0/24:*"]],
    ["[ff02::1]", ["multicast:80", "[ff00::/8]:*"]],
    ["255.255.255.255", ["255.255.255.255:80", "240.0.0.0/4:*"]],
    ["100.100.100.200", ["100.100.100.200:80"]],
    ["[fd00:ec2::254]", ["[fd00:ec2::254]:80"]],
    ["[64:ff9b:1::1]", ["[64:ff9b:1::/48]:80"]],
    ["0.1.2.3", ["unspecified:80", "0.0.0.0/8:*"]],
  ])("%s", (host, naming) => {
    expect(ask(connecting(wide), "connect", `${host}:80`).reason).toContain(
      "which only a rule that names it allows",
    );
    for (const rule of naming) {
      expect(ask(connecting([rule]), "connect", `${host}:80`).allowed, rule).toBe(true);
      expect(ask(connecting([...wide, rule]), "connect", `${host}:80`).rule?.text, rule).toBe(rule);
    }
    const others = ["loopback", "link-local", "multicast", "unspecified"].filter(
      (word) => !naming.includes(`${word}:80`),
    );
    expect(ask(connecting(others.map((word) => `${word}:*`)), "connect", `${host}:80`).allowed).toBe(false);
  });

  test("0.0.0.0 and :: are dialed as loopback, so both must be allowed", () => {
    expect(ask(connecting(["unspecified:*"]), "connect", "0.0.0.0:80").reason).toContain(
      "127.0.0.1 is a loopback",
    );
    expect(ask(connecting(["loopback:*"]), "connect", "0.0.0.0:80").allowed).toBe(false);
    expect(ask(connecting(["unspecified:*", "loopback:*"]), "connect", "0.0.0.0:80").allowed).toBe(true);
    expect(ask(connecting(["unspecified:*", "loopback:*"]), "connect", "[::]:80").allowed).toBe(true);
  });

  test("the server's own ports, by whatever address: only `own` names them", () => {
    const isOwn = (address: string, port: number) =>
      port === 9000 && ["127.0.0.1", "192.0.2.1"].includes(address);
    const own = (rules: string[], host: string, address?: string) => {
      return ask(connecting(rules), "connect", `${host}:9000`, address, { isOwn });
    };
    const wide = [
      "*:*",
      "loopback:*",
      "127.0.0.1:9000",
      "192.0.2.1:9000",
      "unspecified:*",
      "me.example:9000",
    ];
    expect(own(wide, "127.0.0.1").reason).toContain(
      "is a port of the server itself, which only a rule with own allows",
    );
    expect(own(wide, "192.0.2.1").allowed).toBe(false);
    expect(own(wide, "0.0.0.0").allowed).toBe(false);
    expect(own(wide, "[::ffff:127.0.0.1]").allowed).toBe(false);
    expect(own(wide, "[64:ff9b::c000:201]").allowed).toBe(false);
    expect(own(wide, "me.example", "192.0.2.1").allowed).toBe(false);
    expect(own(wide, "127.0.0.2").allowed).toBe(true);
    expect(own(["own:9000"], "127.0.0.1").allowed).toBe(true);
    expect(own(["own:9000"], "192.0.2.1").allowed).toBe(true);
    expect(own(["own:9000"], "me.example", "192.0.2.1").allowed).toBe(true);
    expect(own(["own:9001"], "192.0.2.1").allowed).toBe(false);
    expect(own(["own:*"], "127.0.0.2").allowed).toBe(false);
    expect(
      ask(connecting(wide, ["own:*"]), "connect", "192.0.2.1:9000", undefined, { isOwn }).rule?.text,
    ).toBe("own:*");
  });
});

describe("T24: names are compared label by label on canonical A-labels", () => {
  const PATTERNS = [
    "example.com",
    "*.example.com",
    "*.com",
    "xn--bcher-kva.example",
    "*.xn--bcher-kva.example",
  ];
  /** Each host, and which of the patterns it matches, by number. */
  const HOSTS: readonly [string, readonly number[]][] = [
    ["example.com", [0, 2]],
    ["EXAMPLE.com", [0, 2]],
    ["example.com.", [0, 2]],
    ["a.example.com", [1, 2]],
    ["A.Example.COM.", [1, 2]],
    ["a.b.example.com", [1, 2]],
    ["a.b.c.d.e.example.com", [1, 2]],
    ["_tcp.example.com", [1, 2]],
    ["evilexample.com", [2]],
    ["evil-example.com", [2]],
    ["example.com.evil.org", []],
    ["example.com-evil.org", []],
    ["a.example.org", []],
    ["com", []],
    ["example", []],
    ["com.example", []],
    ["examplecom", []],
    ["xexample.com", [2]],
    ["example.comx", []],
    ["example.co", []],
    ["xn--bcher-kva.example", [3]],
    ["XN--BCHER-KVA.example.", [3]],
    ["shop.xn--bcher-kva.example", [4]],
    ["shop.XN--bcher-kva.Example", [4]],
    ["bcher-kva.example", []],
    ["xn--bcher-kva.example.com", [1, 2]],
    // Not names at all: refused before they are compared.
    ["bücher.example", []],
    [".example.com", []],
    ["a..example.com", []],
    ["example.com:80@evil.org", []],
    ["*.example.com", []],
    ["a.example.com\u0000.org", []],
    ["a.example。com", []],
  ];
  test.each(HOSTS)("%j matches %j", (host, matching) => {
    const found = PATTERNS.flatMap((pattern, at) => {
      return ask(connecting([`${pattern}:80`]), "connect", `${host}:80`, "8.8.8.8").allowed ? [at] : [];
    });
    expect(found).toEqual(matching);
    // The same comparison denies.
    const denied = PATTERNS.flatMap((pattern, at) => {
      return ask(connecting(["*:*"], [`${pattern}:80`]), "connect", `${host}:80`).rule?.text.startsWith(
        pattern,
      )
        ? [at]
        : [];
    });
    expect(denied).toEqual(matching);
  });
});

test("T28: a host of 64 KiB is not compared with any rule", () => {
  const grants = connecting(["*:*", "*.example:80"]);
  // A rule that is read shows itself.
  const read: string[] = [];
  const watched = {
    ...grants,
    connect: {
      allow: grants.connect.allow.map((rule) => ({
        ...rule,
        get pattern() {
          read.push(rule.text);
          return rule.pattern;
        },
      })),
      deny: [],
    },
  };
  for (const host of [
    "a".repeat(65_536),
    "a.".repeat(32_768),
    `${"1".repeat(65_535)}:`,
    ":".repeat(65_536),
  ]) {
    const decision = decide(watched, { action: "connect", endpoint: { scheme: "tcp", host, port: 80 } });
    expect(decision.allowed).toBe(false);
    expect(decision.reason.length).toBeLessThan(200);
  }
  expect(read).toEqual([]);
  decide(watched, { action: "connect", endpoint: { scheme: "tcp", host: "a.example", port: 80 } });
  expect(read).not.toEqual([]);
});
