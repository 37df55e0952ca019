import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Logger } from "@culvert/peer";
import { encodeHello, type Hello } from "@culvert/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Server } from "../src/index.ts";
import { nextEvent, sessionBecomes } from "./support/events.ts";
import { helloOf, openSession, RawClient, resumeOf } from "./support/raw-client.ts";

function helloFrame(json: string): Uint8Array {
  return new Uint8Array([0x40, ...new TextEncoder().encode(json)]);
}

describe("what is not a HELLO", () => {
  const server = new Server({ port: 0 });
  let url = "";
  beforeAll(async () => {
    await server.start();
    url = server.address?.url ?? "";
  });
  afterAll(() => server.close());

  const good = helloOf();
  const GARBAGE: readonly (readonly [string, Uint8Array, string, number])[] = [
    ["nothing", new Uint8Array(0), "bad_handshake", 4400],
    ["one byte", new Uint8Array([0x40]), "bad_handshake", 4400],
    ["a PING", new Uint8Array([0x43, 0, 0, 0, 1]), "bad_handshake", 4400],
    ["random bytes", randomBytes(100), "bad_handshake", 4400],
    ["a WELCOME", helloFrame("{}").with(0, 0x41), "bad_handshake", 4400],
    ["no JSON", helloFrame("{"), "bad_handshake", 4400],
    ["an array", helloFrame("[]"), "bad_handshake", 4400],
    ["a byte order mark", helloFrame(`\ufeff${JSON.stringify(good)}`), "bad_handshake", 4400],
    ["something behind", helloFrame(`${JSON.stringify(good)}x`), "bad_handshake", 4400],
    ["depth 100,000", helloFrame(`{"a":${"[".repeat(16_000)}`), "bad_handshake", 4400],
    ["20 KiB", helloFrame(JSON.stringify({ ...good, agent: "x".repeat(20_000) })), "bad_handshake", 4400],
    ["__proto__", helloFrame(`{"__proto__":{"a":1},${JSON.stringify(good).slice(1)}`), "bad_handshake", 4400],
    ["a key twice", helloFrame(`{"version":1,${JSON.stringify(good).slice(1)}`), "bad_handshake", 4400],
    ["no name", helloFrame(JSON.stringify({ ...good, name: "" })), "bad_handshake", 4400],
    ["version 2", helloFrame(JSON.stringify({ ...good, version: 2 })), "version_unsupported", 4406],
    ["version 0", helloFrame(JSON.stringify({ ...good, version: 0 })), "version_unsupported", 4406],
    ["version 2^32", helloFrame(JSON.stringify({ ...good, version: 2 ** 32 })), "version_unsupported", 4406],
    [
      "version 1e400",
      helloFrame(JSON.stringify(good).replace('"version":1', '"version":1e400')),
      "bad_handshake",
      4400,
    ],
  ];

  test.each(GARBAGE)(
    "%s: a reject with the code, and the close code",
    async (_what, message, code, close) => {
      const client = await RawClient.connect(url);
      client.send(message);
      const answer = await client.next();
      expect(answer?.[0]).toBe(0x42);
      expect(JSON.parse(new TextDecoder().decode(answer?.subarray(1)))).toEqual({ code });
      expect(await client.closed).toEqual({ code: close, reason: code });
      expect(server.sessions()).toEqual([]);
    },
  );

  test("a text message: close 4400", async () => {
    const client = await RawClient.connect(url);
    client.send(JSON.stringify(good));
    expect(await client.closed).toEqual({ code: 4400, reason: "text_message" });
  });

  test("a message larger than any frame: close 1009", async () => {
    const client = await RawClient.connect(url);
    client.send(new Uint8Array(131_073));
    expect((await client.closed).code).toBe(1009);
  });

  test("a frame behind HELLO, before the WELCOME", async () => {
    const client = await RawClient.connect(url);
    client.send(encodeHello(helloOf()));
    client.send(new Uint8Array([0x43, 0, 0, 0, 1]));
    // Whichever way the two meet, the server stays whole: either the frame came after the WELCOME, or it is refused.
    const answer = await client.next();
    expect([0x41, 0x42]).toContain(answer?.[0]);
    client.ws.terminate();
    await client.closed;
  });

  test("a second HELLO ends the session", async () => {
    const client = await RawClient.connect(url);
    await client.welcomed(helloOf({ name: "twice" }));
    const ended = sessionBecomes(server, "ended");
    client.send(encodeHello(helloOf({ name: "twice" })));
    expect((await client.closed).code).toBe(4400);
    expect((await ended).cause?.code).toBe("unexpected_frame");
  });

  test("a client that goes away without a word", async () => {
    const refused = nextEvent(server, "refused");
    const client = await RawClient.connect(url);
    client.ws.terminate();
    expect((await refused).reason).toBe("transport_closed");
  });
});

describe("the handshake's deadline", () => {
  test("no HELLO in time: close 4408", async () => {
    await using server = new Server({ port: 0, handshakeTimeoutMs: 20 });
    await server.start();
    const client = await RawClient.connect(server.address?.url ?? "");
    expect(await client.closed).toEqual({ code: 4408, reason: "handshake_timeout" });
  });
});

describe("sessions", () => {
  const server = new Server({ port: 0, agent: "culvert/test" });
  let url = "";
  beforeAll(async () => {
    await server.start();
    url = server.address?.url ?? "";
  });
  afterAll(() => server.close());

  /** A new transport with a HELLO that resumes. */
  async function resume(hello: Hello, how: NonNullable<Hello["resume"]>): Promise<[RawClient, Hello]> {
    return [await RawClient.connect(url), { ...hello, resume: how }];
  }

  test("create: the WELCOME says everything, and the session is there", async () => {
    const attached = sessionBecomes(server, "attached");
    const { welcome, client, link } = await openSession(url, helloOf({ name: "create" }));
    expect(welcome).toMatchObject({ version: 1, received: 0, agent: "culvert/test", graceMs: 120_000 });
    expect(welcome.secret).toMatch(/^[\w-]{43}$/);
    expect(welcome.keepalive).toEqual({ intervalMs: 10_000, timeoutMs: 25_000 });
    expect(await attached).toMatchObject({ previous: "new", session: { name: "create", owner: "loopback" } });
    const info = server.sessions().find(({ name }) => name === "create");
    expect(info).toMatchObject({ id: welcome.session, state: "attached", agent: "test", tunnels: [] });
    expect(info?.remoteAddress).toMatch(/^127\.0\.0\.1:\d+$/);
    const ended = sessionBecomes(server, "ended");
    link.close();
    expect((await ended).cause?.code).toBe("closed");
    await client.closed;
  });

  test("resume with the right proof: the same session, no secret again", async () => {
    const { welcome, client, hello, link } = await openSession(url, helloOf({ name: "resume" }));
    const noted = nextEvent(server, "note");
    link.note("hello");
    expect((await noted).text).toBe("hello");
    const detached = sessionBecomes(server, "detached");
    client.ws.terminate();
    await detached;
    const [second, again] = await resume(hello, resumeOf(welcome, 1, link.fence()));
    const answer = await second.welcomed(again);
    expect(answer).toMatchObject({ session: welcome.session, received: 1 });
    expect(answer.secret).toBeUndefined();
    expect(server.sessions().filter(({ name }) => name === "resume")).toHaveLength(1);
    link.attach(second.transport, answer.received);
    const more = nextEvent(server, "note");
    link.note("again");
    expect((await more).text).toBe("again");
    link.close();
    await second.closed;
  });

  test("resume while the server still believes in the old transport: the old one is dropped", async () => {
    const { welcome, client, hello, link } = await openSession(url, helloOf({ name: "takeover" }));
    const [second, again] = await resume(hello, resumeOf(welcome, 1, 0));
    await second.welcomed(again);
    expect((await client.closed).code).toBe(1006);
    link.close();
    second.ws.terminate();
  });

  test("a wrong proof, a wrong session, a changed number: one answer, and the live session does not notice", async () => {
    const { welcome, client, hello, link } = await openSession(url, helloOf({ name: "guarded" }));
    const right = resumeOf(welcome, 5, 0);
    const wrong = [
      {
        ...right,
        proof: `${right.proof.slice(0, 5)}${right.proof[5] === "A" ? "B" : "A"}${right.proof.slice(6)}`,
      },
      { ...right, attempt: 6 },
      { ...right, received: 1 },
      { ...right, session: `${right.session}0` },
      { ...right, session: "0000000000000000.000000000000000000000000" },
    ];
    for (const how of wrong) {
      const [other, again] = await resume(hello, how);
      expect(await other.rejected(again)).toEqual({ code: "session_unknown", close: 4404 });
    }
    expect(client.ws.readyState).toBe(client.ws.OPEN);
    const noted = nextEvent(server, "note");
    link.note("still here");
    await noted;
    expect(link.stats().resumes).toBe(0);
    link.close();
    await client.closed;
  });

  test("an attempt that is not above the last one: stale, and the live transport stays", async () => {
    const { welcome, hello, link } = await openSession(url, helloOf({ name: "stale" }));
    const [second, again] = await resume(hello, resumeOf(welcome, 3, 0));
    await second.welcomed(again);
    for (const attempt of [1, 2, 3]) {
      const [late, lateHello] = await resume(hello, resumeOf(welcome, attempt, 0));
      expect(await late.rejected(lateHello)).toEqual({ code: "stale_attempt", close: 4409 });
    }
    expect(second.ws.readyState).toBe(second.ws.OPEN);
    link.close();
    second.ws.terminate();
  });

  test("a number that was never sent: replay_gap, and the session is over", async () => {
    const { welcome, hello, link, client } = await openSession(url, helloOf({ name: "gap" }));
    const ended = sessionBecomes(server, "ended");
    const [second, again] = await resume(hello, resumeOf(welcome, 1, 77));
    expect(await second.rejected(again)).toEqual({ code: "replay_gap", close: 4410 });
    expect((await ended).cause?.code).toBe("replay_gap");
    await client.closed;
    link.close();
  });

  test("the same name from another process displaces; the displaced one is told, and told again", async () => {
    const first = await openSession(url, helloOf({ name: "same" }));
    const noted = nextEvent(server, "note");
    first.link.note("proven");
    await noted;
    const ended = new Promise<string>((resolve) => {
      first.link.onEnded = (cause) => resolve(cause.code);
    });
    const second = await openSession(url, helloOf({ name: "same" }));
    expect(await ended).toBe("displaced");
    expect((await first.client.closed).code).toBe(4409);
    const [late, again] = await resume(first.hello, resumeOf(first.welcome, 1, 0));
    expect(await late.rejected(again)).toEqual({ code: "displaced", close: 4409 });
    expect(server.sessions().filter(({ name }) => name === "same")).toHaveLength(1);
    second.link.close();
    await second.client.closed;
  });

  test("many with one name at once: exactly one is left", async () => {
    const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.connect(url)));
    const answers = await Promise.all(clients.map((client) => client.shake(helloOf({ name: "race" }))));
    expect(answers.some(({ type }) => type === "welcome")).toBe(true);
    expect(server.sessions().filter(({ name }) => name === "race")).toHaveLength(1);
    for (const client of clients) client.ws.terminate();
    await Promise.all(clients.map(({ closed }) => closed));
  });

  test("a lost WELCOME: the same process says HELLO again and is not displaced by itself", async () => {
    const hello = helloOf({ name: "lost-welcome" });
    const first = await RawClient.connect(url);
    await first.welcomed(hello);
    const ended = sessionBecomes(server, "ended");
    const second = await RawClient.connect(url);
    await second.welcomed(hello);
    expect((await ended).cause?.code).toBe("never_welcomed");
    second.ws.terminate();
    first.ws.terminate();
  });

  test("a session whose client never showed that it got the WELCOME dies with its transport", async () => {
    const client = await RawClient.connect(url);
    await client.welcomed(helloOf({ name: "unproven" }));
    const ended = sessionBecomes(server, "ended");
    client.ws.terminate();
    expect((await ended).cause?.code).toBe("never_welcomed");
    expect(server.sessions().filter(({ name }) => name === "unproven")).toEqual([]);
  });

  test("the end of the grace ends it, and a resume is then unknown", async () => {
    await using brief = new Server({ port: 0, session: { graceMs: 10 } });
    await brief.start();
    const session = await openSession(brief.address?.url ?? "", helloOf());
    const noted = nextEvent(brief, "note");
    session.link.note("proven");
    await noted;
    const ended = sessionBecomes(brief, "ended");
    session.client.ws.terminate();
    expect((await ended).cause?.code).toBe("session_expired");
    const late = await RawClient.connect(brief.address?.url ?? "");
    const again = { ...session.hello, resume: resumeOf(session.welcome, 1, 0) };
    expect((await late.rejected(again)).code).toBe("session_unknown");
    session.link.close();
  });
});

describe("maxSessions", () => {
  test("a detached session makes room, an attached one does not", async () => {
    await using server = new Server({ port: 0, maxSessions: 1 });
    await server.start();
    const url = server.address?.url ?? "";
    const first = await openSession(url, helloOf({ name: "a" }));
    const noted = nextEvent(server, "note");
    first.link.note("proven");
    await noted;
    const refused = await (await RawClient.connect(url)).rejected(helloOf({ name: "b" }));
    expect(refused).toMatchObject({ code: "session_limit", close: 4429 });
    expect(refused.retryAfterMs).toBeGreaterThanOrEqual(1000);
    const detached = sessionBecomes(server, "detached");
    first.client.ws.terminate();
    await detached;
    const second = await openSession(url, helloOf({ name: "b" }));
    expect(server.sessions().map(({ name }) => name)).toEqual(["b"]);
    second.link.close();
    first.link.close();
    await once(second.client.ws, "close");
  });
});

describe("a fault of our own while a session is made", () => {
  test("is answered with internal_error, and told in the log; the next client gets in", async () => {
    const errors: object[] = [];
    let isBroken = true;
    const quiet = (): void => undefined;
    const logger: Logger = {
      trace: quiet,
      debug: quiet,
      info: quiet,
      warn: quiet,
      error: (fields, message) => void errors.push({ ...fields, message }),
      child: (bindings) => {
        if (isBroken && "session" in bindings) throw new Error("broken");
        return logger;
      },
    };
    await using server = new Server({ port: 0, logger });
    await server.start();
    const url = server.address?.url ?? "";
    const refused = nextEvent(server, "refused");
    const client = await RawClient.connect(url);
    expect(await client.rejected(helloOf())).toMatchObject({ code: "internal_error", close: 1011 });
    expect(await refused).toMatchObject({ reason: "internal_error" });
    expect(errors).toMatchObject([{ error: { message: "broken" }, message: "a session could not be made" }]);
    expect(server.sessions()).toEqual([]);
    isBroken = false;
    const { link, client: next } = await openSession(url);
    link.close();
    await next.closed;
  });

  test("after the WELCOME ends the transport, and nothing is left of the session", async () => {
    let isBroken = true;
    const quiet = (): void => undefined;
    const logger: Logger = {
      trace: quiet,
      debug: quiet,
      info: (_fields, message) => {
        if (isBroken && message === "session attached") throw new Error("broken");
      },
      warn: quiet,
      error: quiet,
      child: () => logger,
    };
    await using server = new Server({ port: 0, logger });
    await server.start();
    const client = await RawClient.connect(server.address?.url ?? "");
    const ended = sessionBecomes(server, "ended");
    await client.welcomed(helloOf());
    expect([1006, 1011]).toContain((await client.closed).code);
    await ended;
    expect(server.sessions()).toEqual([]);
    isBroken = false;
  });
});
