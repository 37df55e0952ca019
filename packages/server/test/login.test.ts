import { once } from "node:events";
import { createServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { newLoginKey, readLoginKey } from "@culvert/peer";
import { encodeHello, keyChallengeIn, keyLoginHeader, keyLoginInput } from "@culvert/protocol";
import { describe, expect, test } from "vitest";
import { Authority } from "../../../test/support/authority.ts";
import { type AuthenticatedAs, newToken, Server, type ServerOptions } from "../src/index.ts";
import { nextEvent, sessionBecomes } from "./support/events.ts";
import { helloOf, openSession, RawClient, resumeOf } from "./support/raw-client.ts";
import { rawRequest, request, upgradeHeaders } from "./support/raw-http.ts";
import { tlsClient } from "./support/tls-client.ts";
import { usersOf } from "./support/users.ts";

const TOKEN = "a-token-of-enough-length";

async function started(options: ServerOptions): Promise<{ server: Server; url: string; port: number }> {
  const server = new Server({ port: 0, drainMs: 0, ...options });
  await server.start();
  const { url = "", port = 0 } = server.address ?? {};
  return { server, url, port };
}

function upgrade(authorization?: string): string {
  return request("GET /", upgradeHeaders({ Authorization: authorization }));
}

test("T2: of 100 wrong logins most get 429; a right one from elsewhere is let in, and one that nobody can guess from here", async () => {
  const { text, digest } = newToken();
  const users = usersOf({ alice: { tokens: [digest] } });
  const { server, url, port } = await started({ users, token: TOKEN });
  const statuses: number[] = [];
  for (let i = 0; i < 100; i += 1) {
    statuses.push((await rawRequest(port, upgrade(`Bearer ${newToken().text}`))).status);
  }
  expect(statuses.slice(0, 3)).toEqual([401, 401, 401]);
  expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(80);
  // Also the right one that could be guessed is refused from there, so that the answer tells nothing.
  const right = await rawRequest(port, upgrade(`Bearer ${TOKEN}`));
  expect(right.status).toBe(429);
  expect(Number(right.headers.get("retry-after"))).toBeGreaterThan(0);
  for (const options of [{ token: text }, { token: TOKEN, localAddress: "127.0.0.2" }]) {
    const { client, link } = await openSession(url, helloOf(), options);
    link.close();
    await client.closed;
  }
  await server.close();
});

test("T6: no request gets past the credentials, whatever it asks for", async () => {
  const [alices, bobs] = [newToken(), newToken()];
  const users = usersOf({
    alice: { tokens: [alices.digest] },
    bob: { tokens: [bobs.digest], expires: "2020-01-01T00:00:00Z" },
  });
  const app = createServer((_request, response) => response.end("the application"));
  app.listen(0, "127.0.0.1");
  await once(app, "listening");
  const { server, port } = await started({ users, path: "/tunnel" });
  server.mount(app, { path: "/tunnel" });
  const everywhere = ["/tunnel/", "/", "/metrics", "/health", "/stats", "/ws", "*", "/tunnel%00", "//tunnel"];
  const tunnel = ["/tunnel", "/tunnel?token=x", "http://x/tunnel"];
  const mounted = (app.address() as AddressInfo).port;
  for (const [at, paths] of [
    [port, [...tunnel, ...everywhere]],
    [mounted, tunnel],
  ] as const) {
    for (const path of paths) {
      for (const method of ["GET", "HEAD", "POST", "OPTIONS", "CONNECT"]) {
        for (const headers of [upgradeHeaders(), ["Host: a", "Connection: close"]]) {
          // A connection that is closed without a word is as good.
          const nothing = { status: Number.NaN, body: "" };
          const { status, body } = await rawRequest(at, request(`${method} ${path}`, headers)).catch(
            () => nothing,
          );
          if (!Number.isNaN(status)) expect([400, 401, 404, 405, 426]).toContain(status);
          expect(status).not.toBe(101);
          expect(body).not.toMatch(/alice|bob|session/i);
        }
      }
    }
  }
  for (const authorization of [`Bearer ${bobs.text}`, "Bearer", "Culvert-Key"]) {
    expect(
      (await rawRequest(port, request("GET /tunnel", upgradeHeaders({ Authorization: authorization }))))
        .status,
    ).toBe(401);
  }
  expect(server.stats()).toMatchObject({ transports: 0, sessions: 0 });
  await server.close();
  app.close();
});

describe("T7: a resume", () => {
  test("under another identity is refused as one of no session is, and the live one does not notice", async () => {
    const [alices, alicesOther, bobs] = [newToken(), newToken(), newToken()];
    const users = usersOf({
      alice: { tokens: [alices.digest, alicesOther.digest] },
      bob: { tokens: [bobs.digest] },
    });
    const { server, url } = await started({ users, token: TOKEN });
    const { client, hello, welcome, link } = await openSession(url, helloOf(), { token: alices.text });
    for (const token of [bobs.text, TOKEN]) {
      const other = await RawClient.connect(url, { token });
      const stolen = { ...hello, resume: resumeOf(welcome, 7, 0) };
      expect(await other.rejected(stolen)).toEqual({ code: "session_unknown", close: 4404 });
      const unknown = await RawClient.connect(url, { token });
      const nothing = { ...resumeOf(welcome, 7, 0), session: `${welcome.session.slice(0, -1)}x` };
      expect(await unknown.rejected({ ...hello, resume: nothing })).toEqual({
        code: "session_unknown",
        close: 4404,
      });
    }
    const noted = nextEvent(server, "note");
    link.note("still here");
    expect((await noted).session).toMatchObject({ owner: "user:alice", id: welcome.session });
    expect(link.stats().resumes).toBe(0);

    // The same user by another credential is the same identity; from then on it stands for that one.
    const again = await RawClient.connect(url, { token: alicesOther.text });
    await again.welcomed({ ...hello, resume: resumeOf(welcome, 8, link.fence()) });
    expect(server.sessions()).toMatchObject([
      { id: welcome.session, owner: "user:alice", credential: `token:${alicesOther.digest.slice(0, 8)}` },
    ]);
    await client.closed;
    again.ws.terminate();
    await server.close();
  });

  test("after the grace is refused the same way", async () => {
    const { server, url } = await started({ token: TOKEN, session: { graceMs: 20 } });
    const { client, hello, welcome } = await openSession(url, helloOf(), { token: TOKEN });
    const ended = sessionBecomes(server, "ended");
    client.ws.terminate();
    await ended;
    const late = await RawClient.connect(url, { token: TOKEN });
    expect(await late.rejected({ ...hello, resume: resumeOf(welcome, 1, 0) })).toEqual({
      code: "session_unknown",
      close: 4404,
    });
    await server.close();
  });

  test("of the same name under another identity displaces nobody", async () => {
    const { text, digest } = newToken();
    const { server, url } = await started({ users: usersOf({ alice: { tokens: [digest] } }), token: TOKEN });
    const first = await openSession(url, helloOf(), { token: text });
    const second = await openSession(url, helloOf(), { token: TOKEN });
    expect(server.sessions().map(({ owner, name }) => `${owner} ${name}`)).toEqual([
      "user:alice raw",
      "token raw",
    ]);
    for (const { link, client } of [first, second]) {
      link.close();
      await client.closed;
    }
    await server.close();
  });
});

test("T8: 1,000 resumes with a right id and a wrong proof disturb nothing", async () => {
  const { server, url } = await started({ token: TOKEN, maxUpgradesPerSecond: 10_000 });
  const { client, hello, welcome, link } = await openSession(url, helloOf(), { token: TOKEN });
  const proof = Buffer.alloc(32, 7).toString("base64url");
  let notes = 0;
  server.on("note", () => {
    notes += 1;
  });
  for (let round = 0; round < 20; round += 1) {
    link.note(`round ${round}`);
    const codes = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const attacker = await RawClient.connect(url, { token: TOKEN });
        const resume = { ...resumeOf(welcome, 1000 * round + i + 1, 0), proof };
        return (await attacker.rejected({ ...hello, resume })).code;
      }),
    );
    expect(new Set(codes)).toEqual(new Set(["session_unknown"]));
  }
  await expect.poll(() => notes).toBe(20);
  expect(link.stats()).toMatchObject({ state: "attached", resumes: 0 });
  link.close();
  await client.closed;
  await server.close();
});

test("T9: the same resume twice at one moment, 50 times: one transport lives, and nothing is lost or doubled", async () => {
  const { server, url } = await started({ token: TOKEN });
  const { hello, welcome, link } = await openSession(url, helloOf(), { token: TOKEN });
  const notes: string[] = [];
  server.on("note", ({ text }) => void notes.push(text));
  const rounds = Array.from({ length: 50 }, (_, n) => n + 1);
  for (const round of rounds) {
    const rivals = await Promise.all([1, 2].map(() => RawClient.connect(url, { token: TOKEN })));
    // Said while there is no transport, so it has to cross the one that wins.
    const received = link.fence();
    link.note(`round ${round}`);
    const again = { ...hello, resume: resumeOf(welcome, round, received) };
    const answers = await Promise.all(rivals.map((rival) => rival.shake(again)));
    const won = answers.findIndex(({ type }) => type === "welcome");
    const [winner, loser] = [answers[won], answers[1 - won]];
    if (winner?.type !== "welcome") throw new Error("nobody was welcomed");
    expect(loser).toMatchObject({ type: "reject", reject: { code: "stale_attempt" } });
    expect((await rivals[1 - won]!.closed).code).toBe(4409);
    link.attach(rivals[won]!.transport, winner.welcome.received);
    await expect.poll(() => notes.length).toBe(round);
    expect(server.stats()).toMatchObject({ sessions: 1, attached: 1 });
  }
  expect(notes).toEqual(rounds.map((round) => `round ${round}`));
  link.close();
  await server.close();
});

test("T11: who resumes over and over is sent away, and the session is still there", async () => {
  const { server, url, port } = await started({ token: TOKEN, maxUpgradesPerSecond: 5 });
  const { hello, welcome, link, client } = await openSession(url, helloOf(), { token: TOKEN });
  const proven = nextEvent(server, "note");
  link.note("welcomed");
  await proven;
  let taken = 0;
  for (let attempt = 1; attempt <= 100; attempt += 1) {
    const again = { ...hello, resume: resumeOf(welcome, attempt, 0) };
    const one = await RawClient.connect(url, { token: TOKEN }).catch(() => undefined);
    if (one === undefined) break;
    expect((await one.shake(again)).type).toBe("welcome");
    taken += 1;
  }
  expect(taken).toBeGreaterThan(0);
  expect(taken).toBeLessThan(100);
  expect((await rawRequest(port, upgrade(`Bearer ${TOKEN}`))).status).toBe(503);
  expect(server.sessions()).toMatchObject([{ id: welcome.session }]);
  client.ws.terminate();
  await server.close();
});

describe("a login by key", () => {
  const { pem, publicText } = newLoginKey();
  const key = readLoginKey(pem);
  const users = usersOf({ alice: { keys: [publicText] } });

  /** What a client answers to the 401. */
  async function answerOf(port: number, { host = `127.0.0.1:${port}`, path = "/" } = {}): Promise<string> {
    const refused = await rawRequest(port, upgrade());
    expect(refused.status).toBe(401);
    const challenge = keyChallengeIn(refused.headers.get("www-authenticate")) ?? "";
    const signature = key.sign(keyLoginInput({ challenge, host, path })).toString("base64");
    return keyLoginHeader({ key: publicText.slice(8), challenge, host, signature });
  }

  test("a challenge, a signature, a session; nothing of it is secret", async () => {
    const { server, url, port } = await started({ users });
    const Authorization = await answerOf(port);
    const { client, link } = await openSession(url, helloOf(), { headers: { Authorization } });
    expect(server.sessions()).toMatchObject([
      { owner: "user:alice", credential: publicText.replace("ed25519:", "key:") },
    ]);
    link.close();
    await client.closed;
    await server.close();
  });

  test("T4: the bytes of a login that was recorded are refused when they are played again", async () => {
    const { server, url, port } = await started({ users });
    const Authorization = await answerOf(port);
    const { link, client } = await openSession(url, helloOf(), { headers: { Authorization } });
    expect((await rawRequest(port, upgrade(Authorization))).status).toBe(401);
    link.close();
    await client.closed;
    await server.close();
  });

  test("T4: another server that passes our challenge on gets nothing, whatever it writes as Host", async () => {
    const { server, port } = await started({ users });
    const host = "evil.example";
    const authorization = await answerOf(port, { host });
    const relayed = request("GET /", upgradeHeaders({ Host: host, Authorization: authorization }));
    expect((await rawRequest(port, relayed)).status).toBe(401);
    await server.close();
  });

  test("T4: over TLS: by the names of the server's certificate, and by no other", async () => {
    const issued = await (await Authority.create()).issue({ names: [["dns", "tunnel.example"]] });
    const app = createHttpsServer(issued, (_request, response) => response.end());
    app.listen(0, "127.0.0.1");
    await once(app, "listening");
    const { port } = app.address() as AddressInfo;
    const server = new Server({ users, drainMs: 0 });
    server.mount(app);
    const heads: string[] = [];
    for (const host of ["tunnel.example:8443", "evil.example"]) {
      const first = await answered(port, upgrade());
      const challenge = keyChallengeIn(/^WWW-Authenticate: (.*)\r$/m.exec(first)?.[1]) ?? "";
      const signature = key.sign(keyLoginInput({ challenge, host, path: "/" })).toString("base64");
      const login = keyLoginHeader({ key: publicText.slice(8), challenge, host, signature });
      heads.push((await answered(port, upgrade(login))).slice(0, 12));
    }
    expect(heads).toEqual(["HTTP/1.1 101", "HTTP/1.1 401"]);
    await server.close();
    app.close();
  });

  /** The first that a server says over TLS. */
  async function answered(port: number, text: string): Promise<string> {
    const socket = await tlsClient(port);
    socket.write(text);
    const [head] = (await once(socket, "data")) as [Buffer];
    socket.destroy();
    return head.toString("latin1");
  }

  test("behind a proxy that rewrites Host and path: by its public name", async () => {
    const { server, port, url } = await started({ users, publicNames: ["tunnel.example.org/tunnel"] });
    const name = { host: "tunnel.example.org", path: "/tunnel" };
    const headers = { Authorization: await answerOf(port, name), "X-Forwarded-For": "192.0.2.1" };
    const { link, client } = await openSession(url, helloOf(), { headers });
    expect(server.sessions()).toMatchObject([{ owner: "user:alice" }]);
    // Not by the way that the proxy took: somebody at the other side of it may sign that for us.
    const Authorization = await answerOf(port);
    const inner = request("GET /", upgradeHeaders({ Authorization, "X-Forwarded-For": "192.0.2.1" }));
    expect((await rawRequest(port, inner)).status).toBe(401);
    link.close();
    await client.closed;
    await server.close();
  });
});

describe("while the authenticate option thinks", () => {
  /** A server whose hook waits for the test, and how long each request is asked for. */
  async function thinking(options: ServerOptions = {}) {
    const asked: {
      readonly answer: (as: AuthenticatedAs | undefined) => void;
      readonly signal: AbortSignal;
    }[] = [];
    let onAsked: (() => void) | undefined;
    const base = await started({
      ...options,
      authenticate: ({ signal }) =>
        new Promise((answer) => {
          asked.push({ answer, signal });
          onAsked?.();
        }),
    });
    const next = async (count: number): Promise<void> => {
      while (asked.length < count) {
        await new Promise<void>((resolve) => {
          onAsked = resolve;
        });
      }
    };
    return { ...base, asked, next };
  }

  test("what came behind the request is kept, in one piece with it or later", async () => {
    const { server, port, asked, next } = await thinking();
    const frame = maskedFrame(encodeHello(helloOf({ name: "early" })));
    for (const split of [0, frame.length]) {
      const socket = connect(port, "127.0.0.1");
      const attached = sessionBecomes(server, "attached");
      socket.write(Buffer.concat([Buffer.from(upgrade()), frame.subarray(0, split)]));
      await next(asked.length + 1);
      socket.write(frame.subarray(split));
      expect(server.stats().handshaking).toBe(1);
      asked.at(-1)?.answer({ name: "early" });
      expect((await attached).session).toMatchObject({
        owner: "hook:early",
        credential: "hook",
        name: "early",
      });
      const ended = sessionBecomes(server, "detached");
      socket.destroy();
      await ended;
    }
    await server.close();
  });

  test("a client that goes away leaves nothing behind, and the hook is told", async () => {
    const { server, port, asked, next } = await thinking();
    const socket = connect(port, "127.0.0.1");
    socket.write(upgrade("Bearer x"));
    await next(1);
    const aborted = once(asked[0]?.signal as AbortSignal, "abort");
    socket.resetAndDestroy();
    await aborted;
    asked[0]?.answer({ name: "late" });
    await expect.poll(() => server.stats()).toMatchObject({ handshaking: 0, sessions: 0, transports: 0 });
    expect(server.stats().refused).toBe(0);
    await server.close();
    expect(server.sessions()).toEqual([]);
  });

  test("it stays a stranger, who may be dropped for others", async () => {
    const { server, port, asked, next } = await thinking({ maxUnauthenticated: 3 });
    for (let i = 1; i <= 20; i += 1) {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.write(upgrade());
      await next(i);
      expect(server.stats().handshaking).toBeLessThanOrEqual(3);
    }
    expect(asked.filter(({ signal }) => !signal.aborted).length).toBeLessThanOrEqual(3);
    await server.close();
  });

  test("one that is never answered is told to come back, at the deadline", async () => {
    const { server, port } = await thinking({ handshakeTimeoutMs: 20 });
    const answer = await rawRequest(port, upgrade("Bearer x"));
    expect(answer).toMatchObject({ status: 503, body: expect.stringContaining("come back later") });
    await server.close();
  });

  test("a server that is closed meanwhile lets nobody in any more", async () => {
    const { server, port, asked, next } = await thinking();
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(upgrade());
    await next(1);
    const gone = once(socket, "close");
    await server.close();
    asked[0]?.answer({ name: "late" });
    await gone;
    expect(server.stats()).toMatchObject({ sessions: 0, transports: 0 });
  });
});

/** One binary message from a client, as RFC 6455 section 5.2 has it; with a mask of zeros. */
function maskedFrame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head[0] = 0x82;
  head[1] = 0x80 | 126;
  head.writeUInt16BE(message.length, 2);
  return Buffer.concat([head, message]);
}
