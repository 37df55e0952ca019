import fc from "fast-check";
import { expect, test } from "vitest";
import { parseAddress } from "../src/address.ts";
import { dialReadings } from "../src/address-readings.ts";
import { parseRules } from "../src/grants.ts";
import { type Action, decide } from "../src/index.ts";
import { specialZoneOf } from "../src/special-addresses.ts";
import { ask, connecting } from "./support/asking.ts";
import { formatRule } from "./support/rule-text.ts";

const byte = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 10, 100, 127, 169, 192, 224, 240, 254, 255) },
  fc.nat(255),
);
const ipv4 = fc.tuple(byte, byte, byte, byte).map((bytes) => bytes.join("."));
const group = fc.nat(0xffff).map((number) => number.toString(16));
const ipv6 = fc.oneof(
  fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => groups.join(":")),
  fc.constantFrom("::", "::1", "fe80::1", "ff02::1", "fd00:ec2::254", "fd00::1", "64:ff9b:1::1"),
);
const port = fc.integer({ min: 1, max: 65_535 });

const hex = (text: string, turned = 0): [string, string] => {
  const [a, b, c, d] = text.split(".").map((part) => Number(part) ^ turned);
  return [(a! * 256 + b!).toString(16), (c! * 256 + d!).toString(16)];
};

/** Every way in which an IPv6 address holds this one. */
function spellings(address: string): string[] {
  const [high, low] = hex(address);
  const [turnedHigh, turnedLow] = hex(address, 255);
  return [
    ...[
      `::ffff:${address}`,
      `::ffff:${high}:${low}`,
      `0:0:0:0:0:FFFF:${high}:${low}`,
      `::ffff:0:${high}:${low}`,
    ],
    ...[`::${high}:${low}`, `64:ff9b::${high}:${low}`, `64:ff9b::${address}`, `2002:${high}:${low}::`],
    ...[
      `2002:${high}:${low}:1:2:3:4:5`,
      `2001:0:${high}:${low}::1`,
      `2001:0:1:1:0:0:${turnedHigh}:${turnedLow}`,
    ],
  ];
}

const host = fc.oneof(
  ...[
    ipv4,
    fc.constantFrom("*", "private", "public", "loopback", "link-local", "multicast", "unspecified", "own"),
  ],
  fc.tuple(ipv4, fc.nat(32)).map(([address, bits]) => masked(address, bits)),
  ipv6.map((text) => `[${text}]`),
  fc.constantFrom(
    "db.internal",
    "*.internal",
    "redis.",
    "[fd00::/8]",
    "[::/0]",
    "[2000::/3]",
    "*.xn--bcher-kva.example",
  ),
);
const ports = fc.oneof(
  fc.constant("*"),
  fc
    .array(
      fc.oneof(
        port.map(String),
        fc.tuple(port, port).map((two) => two.toSorted((a, b) => a - b).join("-")),
      ),
      {
        minLength: 1,
        maxLength: 5,
      },
    )
    .map((parts) => parts.join(",")),
);
const rule = fc.tuple(host, ports).map((two) => two.join(":"));

function masked(address: string, bits: number): string {
  const number = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const kept = bits === 0 ? 0 : number - (number % 2 ** (32 - bits));
  return `${[24, 16, 8, 0].map((shift) => Math.floor(kept / 2 ** shift) % 256).join(".")}/${bits}`;
}

test("T19: what is denied by an IPv4 address is denied in every spelling that holds it", () => {
  fc.assert(
    fc.property(ipv4, port, (address, at) => {
      const grants = connecting(
        ["*:*", "loopback:*", "link-local:*", "multicast:*", "unspecified:*"],
        [`${address}:*`],
      );
      for (const text of spellings(address)) {
        expect(ask(grants, "connect", `[${text}]:${at}`).allowed, text).toBe(false);
        expect(ask(grants, "connect", `name.example:${at}`, text).allowed, text).toBe(false);
      }
    }),
  );
});

test("T19: an IPv4 address that is not allowed is allowed in no spelling, whatever the rules", () => {
  fc.assert(
    fc.property(
      ipv4,
      port,
      fc.array(rule, { maxLength: 8 }),
      fc.array(rule, { maxLength: 3 }),
      (address, at, allow, deny) => {
        const grants = connecting(allow, deny);
        const isAllowed = ask(grants, "connect", `${address}:${at}`).allowed;
        for (const text of spellings(address)) {
          const isSpellingAllowed = ask(grants, "connect", `[${text}]:${at}`).allowed;
          if (parseAddress(text)!.family === 4) expect(isSpellingAllowed, text).toBe(isAllowed);
          else expect(isSpellingAllowed && !isAllowed, text).toBe(false);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("T20: no special address without a rule that names one", () => {
  const unnamed = fc.oneof(
    ...[
      fc.constantFrom("*", "private", "public", "db.internal", "*.internal", "10.0.0.0/8", "100.64.0.0/10"),
    ],
    // Ranges so wide that each holds more than one zone, or none.
    ...[
      fc.constantFrom(
        "0.0.0.0/0",
        "128.0.0.0/1",
        "96.0.0.0/3",
        "[::/0]",
        "[fc00::/6]",
        "[::/8]",
        "[fd00::/8]",
      ),
    ],
  );
  const special = fc
    .oneof(
      ipv4,
      ipv6,
      ipv4.chain((address) => fc.constantFrom(...spellings(address))),
    )
    .filter((text) => {
      return dialReadings(parseAddress(text)!).some((reading) => specialZoneOf(reading) !== undefined);
    });
  fc.assert(
    fc.property(fc.array(unnamed, { maxLength: 10 }), special, port, (hosts, address, at) => {
      const grants = connecting(hosts.map((each) => `${each}:*`));
      for (const named of [
        "db.internal",
        "a.internal",
        "localhost",
        `[${address}]`.replace(/^\[([0-9.]+)\]$/, "$1"),
      ]) {
        expect(ask(grants, "connect", `${named}:${at}`, address).allowed).toBe(false);
      }
    }),
    { numRuns: 300 },
  );
});

test("an address that is allowed for a name was not ruled out before the look-up", () => {
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 6 }),
      fc.array(rule, { maxLength: 2 }),
      fc.constantFrom("db.internal", "a.internal", "redis", "localhost", "x.example"),
      fc.oneof(ipv4, ipv6),
      port,
      (allow, deny, name, address, at) => {
        const grants = connecting(allow, deny);
        const isAllowed = ask(grants, "connect", `${name}:${at}`, address, {
          isOwn: () => at % 2 === 0,
        }).allowed;
        if (isAllowed) expect(ask(grants, "connect", `${name}:${at}`).allowed).toBe(true);
      },
    ),
    { numRuns: 1000 },
  );
});

test("a deny never allows, and an allow never denies", () => {
  const action = fc.constantFrom<Action>("connect", "listen");
  fc.assert(
    fc.property(
      fc.array(rule),
      rule,
      fc.oneof(ipv4, ipv6),
      port,
      action,
      (allow, more, address, at, doing) => {
        const parse = (texts: string[]) => parseRules(texts, "connect", "rules");
        const set = (allowed: string[], denied: string[]) => ({ allow: parse(allowed), deny: parse(denied) });
        const isAllowed = (allowed: string[], denied: string[]) => {
          const rules = set(allowed, denied);
          const endpoint = { scheme: "tcp", host: parseAddress(address)!.text, port: at } as const;
          const grants = { unrestricted: false, listen: rules, connect: rules, limits: {} };
          return decide(grants, { action: doing, endpoint }).allowed;
        };
        const before = isAllowed(allow, []);
        if (!before) expect(isAllowed(allow, [more])).toBe(false);
        if (before) expect(isAllowed([...allow, more], [])).toBe(true);
      },
    ),
    { numRuns: 500 },
  );
});

test("a rule that is parsed, written and parsed again is the same, and so is its text", () => {
  fc.assert(
    fc.property(rule, (text) => {
      const [first] = parseRules([text], "connect", "rules");
      const form = formatRule(first!);
      const [second] = parseRules([form], "connect", "rules");
      expect(second!.pattern).toEqual(first!.pattern);
      expect(formatRule(second!)).toBe(form);
    }),
    { numRuns: 500 },
  );
});
