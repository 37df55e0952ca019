import { ERRORS, type ErrorCode, encodeHello, type Hello } from "@culvert/protocol";
import { Server } from "@culvert/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeNote, encodePing, FRAME } from "../../packages/protocol/src/frame.ts";
import { concat } from "../../packages/protocol/test/support/hex.ts";
import { readVectors, spelled } from "../../packages/protocol/test/support/vector-file.ts";
import { until } from "../support/deadline.ts";
import { helloOf, RawClient, upgraded } from "./support/raw-client.ts";
import { RawPeer } from "./support/raw-peer.ts";
import { Siege } from "./support/siege.ts";

let siege: Siege;
beforeAll(async () => {
  siege = await Siege.start();
});
afterAll(() => siege[Symbol.asyncDispose]());

const good = helloOf();
/** A HELLO with this text as its body. */
const saying = (json: string): Uint8Array =>
  concat([Uint8Array.of(FRAME.hello), new TextEncoder().encode(json)]);
/** A HELLO with this in the place of what an honest one says. */
const but = (changes: Record<string, unknown>): Uint8Array => saying(JSON.stringify({ ...good, ...changes }));
/** The same, where JSON.stringify would not write what is meant. */
const raw = (key: string, value: string): Uint8Array =>
  saying(`{"${key}":${value},${JSON.stringify({ ...good, [key]: undefined }).slice(1)}`);
const limits = (changes: Record<string, unknown>): Uint8Array =>
  but({ limits: { ...good.limits, ...changes } });
const resume = { session: "a.b", attempt: 1, received: 0, proof: "A".repeat(43) };

const ROWS: readonly (readonly [id: string, words: string, message: Uint8Array, code: ErrorCode])[] = [
  ["B1", "an empty message", new Uint8Array(0), "bad_handshake"],
  ["B2", "a PING first", encodePing(1), "bad_handshake"],
  ["B2", "a NOTE first", encodeNote("hello"), "bad_handshake"],
  ["B2", "a WELCOME first", saying("{}").with(0, FRAME.welcome), "bad_handshake"],
  ["B2", "a REJECT first", saying('{"code":"closed"}').with(0, FRAME.reject), "bad_handshake"],
  ["B5", "version 0", but({ version: 0 }), "version_unsupported"],
  ["B5", "version 2", but({ version: 2 }), "version_unsupported"],
  ["B5", "version 2^32 - 1", but({ version: 2 ** 32 - 1 }), "version_unsupported"],
  ["B5", "version 2^53", but({ version: 2 ** 53 }), "bad_handshake"],
  ["B6", "16,385 bytes", saying(JSON.stringify(good).padEnd(16_384)), "bad_handshake"],
  ["B6", "no JSON", saying("hello"), "bad_handshake"],
  ["B6", "CBOR", concat([Uint8Array.of(FRAME.hello, 0xa1, 0x61, 0x61, 0x01)]), "bad_handshake"],
  ["B6", "JSON that is cut off", saying(JSON.stringify(good).slice(0, -1)), "bad_handshake"],
  ["B6", "bytes behind the JSON", saying(`${JSON.stringify(good)}{}`), "bad_handshake"],
  ["B6", "a byte order mark", saying(`\ufeff${JSON.stringify(good)}`), "bad_handshake"],
  ["B6", "a key twice", saying(`{"name":"x",${JSON.stringify(good).slice(1)}`), "bad_handshake"],
  ["B6", "a key twice, once with an escape", raw("n\\u0061me", '"x","name":"y"'), "bad_handshake"],
  ["B6, T46", "depth 9", raw("x", `${"[".repeat(8)}${"]".repeat(8)}`), "bad_handshake"],
  ["B6, T46", "depth 16,000", saying("[".repeat(16_000)), "bad_handshake"],
  ["B7, T47", "__proto__", raw("__proto__", '{"admin":true}'), "bad_handshake"],
  ["B7, T47", "__proto__ within limits", raw("limits", '{"__proto__":{"maxStreams":1}}'), "bad_handshake"],
  ["B7, T47", "constructor", raw("constructor", '{"prototype":{"admin":true}}'), "bad_handshake"],
  ["B7, T47", "limits as an array", but({ limits: [1, 2, 3] }), "bad_handshake"],
  ["B7, T47", "limits with a length only", but({ limits: { length: 1e9 } }), "bad_handshake"],
  ["B7, T47", "a number as text", limits({ maxStreams: "4096" }), "bad_handshake"],
  ["B7", "a negative number", limits({ maxStreams: -1 }), "bad_handshake"],
  ["B7", "a fraction", limits({ maxStreams: 1.5 }), "bad_handshake"],
  ["B7, T47", "-0", raw("attempt", "-0"), "bad_handshake"],
  ["B7, T47", "1e400", raw("attempt", "1e400"), "bad_handshake"],
  ["B7", "a number beyond 2^53", raw("attempt", "9007199254740993"), "bad_handshake"],
  ["B7", "a window of 2^30 + 1", limits({ initialWindowBytes: 2 ** 30 + 1 }), "bad_handshake"],
  ["B7", "null for a name", but({ name: null }), "bad_handshake"],
  ["B7, T49", "a line break in the name", but({ name: "a\nb" }), "bad_handshake"],
  ["B7, T49", "an escape in the agent", but({ agent: "\u001b]0;x\u0007" }), "bad_handshake"],
  ["B7, T49", "U+202E in the name", but({ name: "a\u202eb" }), "bad_handshake"],
  ["B7", "a lone surrogate that UTF-8 cannot say", saying('{"a":"').with(0, 0x40), "bad_handshake"],
  ["B7", "an instance of 31 digits", but({ instance: "0".repeat(31) }), "bad_handshake"],
  ["B8", "a list of 10,000 entries", raw("x", `[${"1,".repeat(7000)}1]`), "bad_handshake"],
  [
    "B32",
    "a resume with a proof of 42 characters",
    but({ resume: { ...resume, proof: "A".repeat(42) } }),
    "bad_handshake",
  ],
  ["B32", "a resume with attempt 0", but({ resume: { ...resume, attempt: 0 } }), "bad_handshake"],
  ["B32", "a resume of a session that never was", but({ resume }), "session_unknown"],
  ["B33", "a resume with a number below 0", but({ resume: { ...resume, received: -1 } }), "bad_handshake"],
];

/** Sends it as the first message; nothing of it may stay. */
async function mustBeRefused(message: Uint8Array, code: string): Promise<void> {
  using web = await upgraded(siege.port);
  web.send(message);
  expect(await new RawPeer(web).farewell()).toEqual({ code, close: ERRORS[code as ErrorCode].close });
  expect(siege.others).toEqual([]);
}

describe("4.B: instead of a HELLO, before the WELCOME", () => {
  test.each(ROWS)("%s %s", async (_id, _words, message, code) => {
    await siege.witness.during(() => mustBeRefused(message, code));
    expect(({} as { admin?: unknown }).admin).toBeUndefined();
  });

  const refused = readVectors("handshake.json").refused.map(
    ({ name, message, code }) => [name, spelled(message), code] as const,
  );
  test.each(refused)("B6 vector: %s", (_name, bytes, code) => mustBeRefused(bytes, code));

  test("T46 an unknown key of 15 KiB is ignored, as any other", async () => {
    using web = await upgraded(siege.port);
    web.send(raw("x".repeat(15_000), '"y"'));
    expect((await web.next())?.[0]).toBe(FRAME.welcome);
    web.reset();
    await until(() => siege.others.length === 0, "no session is left");
  });

  test("B3 no HELLO", async () => {
    await using hurried = new Server({ port: 0, handshakeTimeoutMs: 50 });
    await hurried.start();
    using web = await upgraded(hurried.address?.port ?? 0);
    expect(await new RawPeer(web).farewell()).toEqual({ code: "handshake_timeout", close: 4408 });
  });

  test("B2 HELLO in one segment with a frame behind it: refused, or taken as a first frame", async () => {
    using web = await upgraded(siege.port);
    web.send(encodeHello(helloOf()), encodePing(77));
    const answer = await web.next();
    expect([FRAME.welcome, FRAME.reject]).toContain(answer?.[0]);
    web.reset();
    await until(() => siege.others.length === 0, "no session is left");
  });
});

describe("4.B: a resume that is not its right, while the session is attached", () => {
  let client: RawClient;
  beforeAll(async () => {
    client = await RawClient.open(siege.port, { name: "victim" });
    await (await client.resumed(siege.port, 5)).answers();
  });

  /** What each says instead of the right proof of attempt 6. */
  const WRONG: readonly (readonly [
    words: string,
    code: ErrorCode,
    say: (right: Resume) => Partial<Hello>,
  ])[] = [
    [
      "another session's id",
      "session_unknown",
      (right) => ({ resume: { ...right, session: `${right.session}0` } }),
    ],
    ["a wrong proof", "session_unknown", (right) => ({ resume: { ...right, proof: "A".repeat(43) } })],
    ["the proof of another attempt", "session_unknown", (right) => ({ resume: { ...right, attempt: 7 } })],
    ["the proof of another number", "session_unknown", (right) => ({ resume: { ...right, received: 1 } })],
    ["an attempt that was taken", "stale_attempt", () => ({ resume: client.proof(5, 0) })],
    ["an attempt from before", "stale_attempt", () => ({ resume: client.proof(1, 0) })],
  ];

  test.each(WRONG)("B32 %s: %s", async (_words, code, say) => {
    await siege.witness.during(async () => {
      using web = await upgraded(siege.port);
      web.send(encodeHello({ ...client.hello, ...say(client.proof(6, 0)) }));
      expect(await new RawPeer(web).farewell()).toEqual({ code, close: ERRORS[code].close });
      expect(siege.others).toEqual(["attached"]);
    });
  });

  test("B32 the same resume twice at once: one is taken", async () => {
    const hello = encodeHello({ ...client.hello, resume: client.proof(8, client.received) });
    const webs = await Promise.all([upgraded(siege.port), upgraded(siege.port)]);
    for (const web of webs) web.send(hello);
    const types = await Promise.all(webs.map(async (web) => (await web.next())?.[0]));
    expect(types.sort()).toEqual([FRAME.welcome, FRAME.reject]);
  });

  test("B33 a number that was never sent: the session is over", async () => {
    using web = await upgraded(siege.port);
    web.send(encodeHello({ ...client.hello, resume: client.proof(9, 1_000_000) }));
    expect(await new RawPeer(web).farewell()).toEqual({ code: "replay_gap", close: 4410 });
    expect(siege.others).toEqual([]);
  });
});

type Resume = ReturnType<RawClient["proof"]>;
