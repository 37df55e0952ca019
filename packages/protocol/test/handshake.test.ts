import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS, type ErrorCode, ProtocolError } from "../src/errors.ts";
import {
  decodeHandshake,
  encodeHello,
  encodeReject,
  encodeWelcome,
  type HandshakeMessage,
  type Hello,
  proofInput,
  type Welcome,
} from "../src/handshake.ts";
import { bytes, concat } from "./support/hex.ts";
import { holds } from "./support/property.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const PROOF = `${"Az09-_".repeat(7)}x`;

const HELLO: Hello = {
  version: 1,
  instance: "0123456789abcdef0123456789abcdef",
  name: "web",
  agent: "culvert/0.1.0",
  limits: {
    maxStreams: 4096,
    maxPendingOpens: 1024,
    maxTunnels: 256,
    initialWindowBytes: 8192,
    replayLimitBytes: 16_777_216,
  },
  keepalive: { intervalMs: 10_000, timeoutMs: 25_000 },
};
const RESUME = { session: "s.1", attempt: 2, received: 7, proof: PROOF };
const WELCOME: Welcome = {
  version: 1,
  session: "s.1",
  secret: PROOF,
  received: 0,
  agent: "",
  limits: HELLO.limits,
  keepalive: HELLO.keepalive,
  graceMs: 120_000,
};

function encode(message: HandshakeMessage): Uint8Array {
  if (message.type === "hello") return encodeHello(message.hello);
  return message.type === "welcome" ? encodeWelcome(message.welcome) : encodeReject(message.reject);
}

/** A handshake frame whose body is that value, or that text. */
function frame(type: number, body: unknown): Uint8Array {
  return concat([Uint8Array.of(type), utf8(typeof body === "string" ? body : JSON.stringify(body))]);
}

function refusal(message: Uint8Array): ErrorCode | HandshakeMessage {
  try {
    return decodeHandshake(message);
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
}

/** `base` with the value at `path` replaced, or removed when it is undefined. */
function changed(base: object, path: string, value: unknown): object {
  const copy = structuredClone(base) as Record<string, unknown>;
  const keys = path.split(".");
  const last = keys.pop() as string;
  let at = copy;
  for (const key of keys) at = at[key] as Record<string, unknown>;
  if (value === undefined) delete at[last];
  else at[last] = value;
  return copy;
}

describe("encoding and decoding", () => {
  test.each<[string, HandshakeMessage]>([
    ["HELLO", { type: "hello", hello: HELLO }],
    ["HELLO that resumes", { type: "hello", hello: { ...HELLO, resume: RESUME } }],
    ["WELCOME to a new session", { type: "welcome", welcome: WELCOME }],
    ["WELCOME back", { type: "welcome", welcome: (({ secret: _, ...rest }) => rest)(WELCOME) }],
    ["REJECT", { type: "reject", reject: { code: "displaced" } }],
    [
      "REJECT with advice",
      { type: "reject", reject: { code: "shutting_down", retryAfterMs: 5, redirect: "wss://b.example/x" } },
    ],
  ])("%s comes back as it was", (_, message) => {
    expect(decodeHandshake(encode(message))).toEqual(message);
  });

  test("type bytes stand first and the rest is JSON", () => {
    expect([encodeHello(HELLO)[0], encodeWelcome(WELCOME)[0], encodeReject({ code: "closed" })[0]]).toEqual([
      0x40, 0x41, 0x42,
    ]);
    expect(JSON.parse(new TextDecoder().decode(encodeHello(HELLO).subarray(1)))).toEqual(HELLO);
  });

  test("any values within the bounds come back as they were", () => {
    const text = (min: number, max: number) =>
      fc
        .string({ unit: "grapheme", minLength: min, maxLength: 20 })
        .filter(
          (s) =>
            s.length >= min &&
            s.length <= max &&
            !/[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/u.test(s),
        );
    const key = fc.stringMatching(/^[A-Za-z0-9_-]{43}$/);
    const hello = fc.record(
      {
        version: fc.constant(1),
        instance: fc.stringMatching(/^[0-9a-f]{32}$/),
        attempt: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
        name: text(1, 255),
        agent: text(0, 255),
        limits: fc.record({
          maxStreams: fc.integer({ min: 1, max: 2 ** 24 }),
          maxPendingOpens: fc.integer({ min: 1, max: 2 ** 24 }),
          maxTunnels: fc.integer({ min: 0, max: 2 ** 24 }),
          initialWindowBytes: fc.integer({ min: 1, max: 2 ** 30 }),
          replayLimitBytes: fc.integer({ min: 1, max: 2 ** 40 }),
        }),
        keepalive: fc.record({ intervalMs: fc.nat(), timeoutMs: fc.nat() }),
        resume: fc.record({
          session: text(1, 128),
          attempt: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
          received: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
          proof: key,
        }),
      },
      { requiredKeys: ["version", "instance", "name", "agent", "limits", "keepalive"] },
    ) as fc.Arbitrary<Hello>;
    holds(
      fc.property(hello, (h) => {
        expect(decodeHandshake(encodeHello(h))).toEqual({ type: "hello", hello: h });
      }),
    );
  });

  test("unknown keys are ignored, at every level", () => {
    const body = { ...HELLO, future: { a: [1] }, limits: { ...HELLO.limits, maxDatagrams: 5 }, x: null };
    expect(decodeHandshake(frame(0x40, body))).toEqual({ type: "hello", hello: HELLO });
  });

  test("a message that would be too large is not sent", () => {
    expect(() => encodeReject({ code: "closed", redirect: "x".repeat(17_000) })).toThrow(ProtocolError);
  });
});

describe("the bounds of each key", () => {
  const MAX = Number.MAX_SAFE_INTEGER;
  const rows: [type: "hello" | "welcome" | "reject", path: string, good: unknown[], bad: unknown[]][] = [
    [
      "hello",
      "instance",
      ["f".repeat(32)],
      ["f".repeat(31), "f".repeat(33), "F".repeat(32), `${"f".repeat(32)}\n`, 5, null, undefined],
    ],
    ["hello", "name", ["a", "é".repeat(255)], ["", "a".repeat(256), "a\nb", "\u202e", 1, null, undefined]],
    ["hello", "agent", ["", "a".repeat(255)], ["a".repeat(256), "\u001b[2J", 1, undefined]],
    ["hello", "attempt", [undefined, 0, MAX], [-1, MAX + 1, 0.5, null, "1"]],
    ["hello", "limits", [], [null, [], "x", undefined]],
    ["hello", "limits.maxStreams", [1, 2 ** 24], [0, 2 ** 24 + 1, 1.5, "1", null, undefined]],
    ["hello", "limits.maxPendingOpens", [1, 2 ** 24], [0, 2 ** 24 + 1, undefined]],
    ["hello", "limits.maxTunnels", [0, 2 ** 24], [-1, 2 ** 24 + 1, undefined]],
    ["hello", "limits.initialWindowBytes", [1, 2 ** 30], [0, 2 ** 30 + 1, undefined]],
    ["hello", "limits.replayLimitBytes", [1, 2 ** 40], [0, 2 ** 40 + 1, undefined]],
    ["hello", "keepalive", [], [null, [], 5, undefined]],
    ["hello", "keepalive.intervalMs", [0, 2 ** 31 - 1], [-1, 2 ** 31, 0.1, undefined]],
    ["hello", "keepalive.timeoutMs", [0, 2 ** 31 - 1], [-1, 2 ** 31, undefined]],
    ["hello", "resume", [undefined], [null, [], {}, "s.1"]],
    ["hello", "resume.session", ["a", "a".repeat(128)], ["", "a".repeat(129), "a\nb", 1, undefined]],
    ["hello", "resume.attempt", [1, MAX], [0, -1, MAX + 1, 1.5, "1", undefined]],
    ["hello", "resume.received", [0, MAX], [-1, MAX + 1, undefined]],
    [
      "hello",
      "resume.proof",
      ["_".repeat(43)],
      ["a".repeat(42), "a".repeat(44), `${"a".repeat(42)}=`, `${"a".repeat(42)}+`, undefined],
    ],
    ["welcome", "session", ["a", "a".repeat(128)], ["", "a".repeat(129), "a\u2028", undefined]],
    ["welcome", "secret", [undefined, "_".repeat(43)], ["a".repeat(42), "a".repeat(44), "", null, 5]],
    ["welcome", "received", [0, MAX], [-1, MAX + 1, null, undefined]],
    ["welcome", "agent", ["", "a".repeat(255)], ["a".repeat(256), undefined]],
    ["welcome", "limits", [], [null, undefined]],
    ["welcome", "keepalive", [], [null, undefined]],
    ["welcome", "graceMs", [0, 2 ** 31 - 1], [-1, 2 ** 31, 0.5, undefined]],
    ["reject", "code", ["closed", "a".repeat(64)], ["", "a".repeat(65), "a\tb", 5, undefined]],
    ["reject", "retryAfterMs", [undefined, 0, 2 ** 31 - 1], [-1, 2 ** 31, null, "5"]],
    ["reject", "redirect", [undefined, "x", "x".repeat(2048)], ["", "x".repeat(2049), "x\r\ny", null]],
  ];
  const BASES = {
    hello: [0x40, { ...HELLO, resume: RESUME }],
    welcome: [0x41, WELCOME],
    reject: [0x42, { code: "closed", retryAfterMs: 1, redirect: "x" }],
  } as const;

  test.each(rows)("of %s %s", (type, path, good, bad) => {
    const [byte, base] = BASES[type];
    for (const value of good) {
      expect(refusal(frame(byte, changed(base, path, value))), JSON.stringify(value)).toMatchObject({ type });
    }
    for (const value of bad) {
      expect(refusal(frame(byte, changed(base, path, value))), JSON.stringify(value)).toBe("bad_handshake");
    }
  });

  test("the detail names the key, with its path", () => {
    expect(() => decodeHandshake(frame(0x40, changed(HELLO, "limits.maxStreams", 0)))).toThrow(
      '"limits.maxStreams"',
    );
  });

  test.each([
    ["hello", 0x40, HELLO],
    ["welcome", 0x41, WELCOME],
  ] as const)(
    "of the version of %s: any other integer is not supported, anything else is malformed",
    (_, byte, base) => {
      for (const version of [0, 2, 2 ** 32 - 1, 2 ** 32]) {
        expect(refusal(frame(byte, changed(base, "version", version)))).toBe("version_unsupported");
        // Whatever else a newer version says: the version is looked at first.
        expect(refusal(frame(byte, { version }))).toBe("version_unsupported");
      }
      for (const version of [-1, 1.5, "1", null, true, 2 ** 53, undefined]) {
        expect(refusal(frame(byte, changed(base, "version", version)))).toBe("bad_handshake");
      }
    },
  );

  test("numbers that JSON can spell and a session cannot use", () => {
    const text = (attempt: string) =>
      JSON.stringify({ ...HELLO, resume: { ...RESUME, attempt: "@" } }).replace('"@"', attempt);
    for (const attempt of [
      "1e400",
      "-1e400",
      "-0",
      "1e-1",
      "9007199254740993",
      "0x1",
      "01",
      "+1",
      "NaN",
      "1n",
    ]) {
      expect(refusal(frame(0x40, text(attempt))), attempt).toBe("bad_handshake");
    }
    expect(refusal(frame(0x40, text("2e0")))).toMatchObject({ hello: { resume: { attempt: 2 } } });
  });
});

describe("what is refused as a whole", () => {
  test.each<[string, Uint8Array]>([
    ["nothing", new Uint8Array(0)],
    ["a type alone", bytes("40")],
    ["another frame", bytes("43 00000001")],
    ["an ignorable frame", bytes("c0 7b7d")],
    ["a text frame's content", utf8('{"version":1}')],
    ["an array", frame(0x40, "[]")],
    ["trailing bytes", frame(0x40, `${JSON.stringify(HELLO)}x`)],
    ["cut short", encodeHello(HELLO).subarray(0, 100)],
    ["a byte order mark", frame(0x40, `\ufeff${JSON.stringify(HELLO)}`)],
    ["a key twice", frame(0x40, `{"version":1,${JSON.stringify(HELLO).slice(1)}`)],
    ["__proto__", frame(0x40, `{"__proto__":{"admin":true},${JSON.stringify(HELLO).slice(1)}`)],
    [
      "__proto__ further in",
      frame(0x40, JSON.stringify(changed(HELLO, "limits.x", 0)).replace('"x"', '"__proto__"')),
    ],
    ["depth 9", frame(0x40, { ...HELLO, x: JSON.parse(`${"[".repeat(8)}${"]".repeat(8)}`) })],
    ["ten thousand capabilities", frame(0x40, { ...HELLO, x: Array(10_000).fill(0) })],
    ["a hundred thousand arrays", frame(0x40, "[".repeat(100_000))],
    ["not UTF-8", concat([encodeHello(HELLO), bytes("ff")])],
  ])("%s", (_, message) => {
    expect(refusal(message)).toBe("bad_handshake");
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
  });

  test("a frame of 16,385 bytes; one of 16,384 passes", () => {
    const padded = (length: number) => {
      const json = JSON.stringify(HELLO);
      return frame(0x40, json + " ".repeat(length - 1 - json.length));
    };
    expect(refusal(padded(16_384))).toMatchObject({ type: "hello" });
    expect(refusal(padded(16_385))).toBe("bad_handshake");
  });

  test("any bytes give a message or a ProtocolError", () => {
    const mutated = fc
      .tuple(fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }), fc.nat({ max: 600 }))
      .map(([changes, cut]) => {
        const m = encodeHello({ ...HELLO, resume: RESUME });
        for (const [at, value] of changes) m[at % m.length] = value;
        return m.subarray(0, cut === 0 ? undefined : cut);
      });
    holds(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          mutated,
          fc.json().map((json) => frame(0x41, json)),
        ),
        (message) => {
          const result = refusal(message);
          if (typeof result === "string") expect(["bad_handshake", "version_unsupported"]).toContain(result);
        },
      ),
      2_000,
    );
  });
});

describe("REJECT", () => {
  test("carries every code by its name", () => {
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      expect(decodeHandshake(encodeReject({ code }))).toEqual({ type: "reject", reject: { code } });
    }
  });

  test.each(["from_the_future", "toString", "__proto__", "DISPLACED"])(
    "reads the name %s as unknown_code",
    (code) => {
      expect(decodeHandshake(frame(0x42, { code }))).toEqual({
        type: "reject",
        reject: { code: "unknown_code" },
      });
    },
  );
});

describe("the input of a proof", () => {
  test("is these bytes", () => {
    expect(new TextDecoder().decode(proofInput("a.b", 12, 0))).toBe("culvert.v1 resume\na.b\n12\n0");
    expect(proofInput("é", 1, 2)).toEqual(utf8("culvert.v1 resume\né\n1\n2"));
  });

  test("writes the largest numbers in full", () => {
    const max = Number.MAX_SAFE_INTEGER;
    expect(new TextDecoder().decode(proofInput("s", max, max))).toBe(
      "culvert.v1 resume\ns\n9007199254740991\n9007199254740991",
    );
  });

  test("differs whenever one of the three does", () => {
    const part = fc.record({
      session: fc.stringMatching(/^[ -~]{1,8}$/),
      attempt: fc.integer({ min: 1, max: 200 }),
      received: fc.nat({ max: 200 }),
    });
    holds(
      fc.property(part, part, (a, b) => {
        const same = a.session === b.session && a.attempt === b.attempt && a.received === b.received;
        const text = (p: typeof a) => proofInput(p.session, p.attempt, p.received).join();
        expect(text(a) === text(b)).toBe(same);
      }),
    );
  });
});
