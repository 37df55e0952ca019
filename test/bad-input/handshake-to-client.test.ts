import { Client, type ClientOptions } from "@culvert/client";
import { encodeReject, encodeWelcome, type Reject } from "@culvert/protocol";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { encodeNote, encodePing, FRAME } from "../../packages/protocol/src/frame.ts";
import { concat } from "../../packages/protocol/test/support/hex.ts";
import { readVectors, spelled } from "../../packages/protocol/test/support/vector-file.ts";
import { soon, until } from "../support/deadline.ts";
import { QUICK_RETRY } from "../support/tunnel-fixture.ts";
import { HostileServer, welcomeOf } from "./support/hostile-server.ts";
import { frameBytes, OPCODE } from "./support/web-socket-bytes.ts";

let hostile: HostileServer;
beforeEach(async () => {
  hostile = await HostileServer.start();
});
afterEach(() => hostile[Symbol.asyncDispose]());

/** The code with which the start of a client fails that dials once. */
function failure(options: Partial<ClientOptions> = {}): Promise<unknown> {
  const retry = { ...QUICK_RETRY, maxAttempts: 1 };
  const client = new Client({ server: hostile.url, name: "besieged", drainMs: 0, retry, ...options });
  onTestFinished(() => client.close({ drainMs: 0 }));
  const failed = client.start().then(
    () => "started",
    (error: { code: string; cause?: { code?: string } }) =>
      error.code === "attempts_exhausted" ? error.cause?.code : error.code,
  );
  return soon(failed, "the start fails");
}

const SECRET = "A".repeat(43);
const good = welcomeOf({ secret: SECRET });
const saying = (json: string): Uint8Array =>
  concat([Uint8Array.of(FRAME.welcome), new TextEncoder().encode(json)]);
const but = (changes: Record<string, unknown>): Uint8Array => saying(JSON.stringify({ ...good, ...changes }));
const reject = (changes: Reject): Uint8Array => encodeReject(changes);

const ROWS: readonly (readonly [id: string, words: string, code: string, message: Uint8Array])[] = [
  ["B1", "an empty message", "not_culvert", new Uint8Array(0)],
  ["B2", "a PING first", "not_culvert", encodePing(1)],
  ["B2", "a NOTE first", "not_culvert", encodeNote("hello")],
  ["B5", "version 2", "version_unsupported", but({ version: 2 })],
  ["B5", "version 0", "version_unsupported", but({ version: 0 })],
  ["B6", "no JSON", "not_culvert", saying("hello")],
  ["B6", "16,385 bytes", "not_culvert", saying(JSON.stringify(good).padEnd(16_384))],
  ["B6", "a byte order mark", "not_culvert", saying(`\ufeff${JSON.stringify(good)}`)],
  ["B6, T46", "depth 16,000", "not_culvert", saying("[".repeat(16_000))],
  [
    "B7, T47",
    "__proto__",
    "not_culvert",
    saying(`{"__proto__":{"admin":true},${JSON.stringify(good).slice(1)}`),
  ],
  ["B7", "a grace below 0", "not_culvert", but({ graceMs: -1 })],
  ["B7", "a grace of 2^31", "not_culvert", but({ graceMs: 2 ** 31 })],
  ["B7", "a limit as text", "not_culvert", but({ limits: { ...good.limits, maxStreams: "1" } })],
  ["B7", "a limit of 0 streams", "not_culvert", but({ limits: { ...good.limits, maxStreams: 0 } })],
  ["B7, T49", "a line break in the session's id", "not_culvert", but({ session: "a\nb" })],
  ["B7", "a secret of 42 characters", "not_culvert", but({ secret: "A".repeat(42) })],
  ["B8", "a list of 10,000 entries", "not_culvert", but({ x: new Array(7000).fill(1) })],
  ["B32", "a WELCOME without a secret", "bad_handshake", but({ secret: undefined })],
  ["B33", "a WELCOME to a new session that processed 7 frames", "bad_handshake", but({ received: 7 })],
  [
    "B4",
    "REJECT with a code of the future",
    "unknown_code",
    saying('{"code":"no_such_code"}').with(0, FRAME.reject),
  ],
  ["B4", "REJECT with a code that is no name", "not_culvert", saying('{"code":7}').with(0, FRAME.reject)],
  ["B4", "REJECT forbidden", "forbidden", reject({ code: "forbidden" })],
  [
    "B4",
    "REJECT to another host",
    "session_limit",
    reject({ code: "session_limit", redirect: "ws://192.0.2.1/" }),
  ],
  [
    "B4",
    "REJECT to a file",
    "session_limit",
    reject({ code: "session_limit", redirect: "file:///etc/passwd" }),
  ],
  ["B4", "REJECT to nowhere", "session_limit", reject({ code: "session_limit", redirect: "?" })],
];

/** The next client gets this in the place of a WELCOME. */
async function answered(message: Uint8Array, options?: Partial<ClientOptions>): Promise<unknown> {
  const failed = failure(options);
  const { web } = await hostile.caller();
  web.send(message);
  return await failed;
}

describe("4.B: instead of a WELCOME", () => {
  test.each(ROWS)("%s %s: %s", async (_id, _words, code, message) => {
    expect(await answered(message)).toBe(code);
    expect(({} as { admin?: unknown }).admin).toBeUndefined();
  });

  const refused = readVectors("handshake.json").refused.map(
    ({ name, message, code }) =>
      [name, code === "version_unsupported" ? code : "not_culvert", spelled(message)] as const,
  );
  test.each(refused)("B6 vector: %s: %s", async (_name, code, message) => {
    expect(await answered(message)).toBe(code);
  });

  test("A15 a text message", async () => {
    const failed = failure();
    const { web } = await hostile.caller();
    web.write(frameBytes(Buffer.from("{}"), { masked: false, opcode: OPCODE.text }));
    expect(await failed).toBe("not_culvert");
  });

  test("B2 the client's own HELLO", async () => {
    const failed = failure();
    const web = (await hostile.knock()).upgrade();
    web.send(await web.nextOf(FRAME.hello));
    expect(await failed).toBe("not_culvert");
  });

  test("B3, T30 nothing, and a byte now and then: the deadline does not move", async () => {
    // Longer than it takes to say HELLO, shorter than all bytes of a WELCOME would.
    const failed = failure({ retry: { ...QUICK_RETRY, maxAttempts: 1, connectTimeoutMs: 2000 } });
    const { web } = await hostile.caller();
    const bytes = frameBytes(encodeWelcome(good), { masked: false }).values();
    const timer = setInterval(() => web.write(Uint8Array.of(bytes.next().value ?? 0)), 10);
    expect(await failed).toBe("handshake_timeout");
    clearInterval(timer);
  });

  test("T51 a redirect to itself, for ever: it is followed a few times, then waited", async () => {
    const failed = failure();
    for (let n = 0; n < 4; n += 1) {
      const { web } = await hostile.caller();
      web.send(encodeReject({ code: "session_limit", redirect: `${hostile.url}${n}` }));
    }
    expect(await failed).toBe("session_limit");
  });
});

describe("4.B: in the answer to a resume", () => {
  /** A session that was cut off; what the client says to have it back. */
  async function cut(): Promise<{ readonly client: Client }> {
    const client = new Client({ server: hostile.url, name: "besieged", drainMs: 0, retry: QUICK_RETRY });
    onTestFinished(() => client.close({ drainMs: 0 }));
    const started = client.start();
    const peer = await hostile.session();
    await started;
    await peer.answers();
    peer.web.reset();
    return { client };
  }

  test.each([
    ["B32", "another session", { session: "hostile.2" }],
    ["B32", "a secret once more", { secret: SECRET }],
  ])(
    "%s a WELCOME with %s is none: the client tries again, and its session goes on",
    async (_id, _words, changes) => {
      const { client } = await cut();
      (await hostile.caller()).web.send(encodeWelcome(welcomeOf(changes)));
      (await hostile.caller()).web.send(encodeWelcome(welcomeOf()));
      await until(() => client.stats().state === "open", "it goes on");
      expect(client.stats()).toMatchObject({ state: "open", sessions: 1 });
    },
  );

  test.each([
    ["a number that was never sent", encodeWelcome(welcomeOf({ received: 1_000_000 }))],
    ["REJECT session_unknown", encodeReject({ code: "session_unknown" })],
    ["REJECT replay_gap", encodeReject({ code: "replay_gap" })],
  ])("B33 %s: the session is lost, and the client makes another one", async (_words, answer) => {
    const { client } = await cut();
    (await hostile.caller()).web.send(answer);
    await (await hostile.session()).answers();
    expect(client.stats()).toMatchObject({ state: "open", sessions: 2 });
  });
});
