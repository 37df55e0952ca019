import { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { newLoginKey, readLoginKey, silentLogger } from "@culvert/peer";
import type { Users } from "@culvert/policy";
import { keyChallengeIn, keyLoginHeader, keyLoginInput } from "@culvert/protocol";
import { describe, expect, test, vi } from "vitest";
import type { AuthenticateHook } from "../src/authenticate-hook.ts";
import { type Authentication, Authenticators, type AuthenticatorsOptions } from "../src/authenticators.ts";
import { type AuthenticationRequest, newToken } from "../src/index.ts";
import type { PeerCertificate } from "../src/peer-certificate.ts";
import { usersOf } from "./support/users.ts";

const TOKEN = "0123456789abcdef";

function authenticators(options: Partial<AuthenticatorsOptions>): Authenticators {
  return new Authenticators({
    ...{ token: undefined, users: undefined, authenticate: undefined, noAuth: false, publicNames: [] },
    ...{ handshakeTimeoutMs: 1000, logger: silentLogger, certificateOf: () => undefined },
    ...options,
  });
}

function statusOf(
  token: string | undefined,
  authorization: string | undefined,
  localAddress?: string,
  {
    remoteAddress = localAddress,
    headers = {},
    noAuth = false,
  }: { remoteAddress?: string; headers?: object; noAuth?: boolean } = {},
): number | string {
  const request = { headers: { authorization, ...headers }, rawHeaders: [] } as unknown as IncomingMessage;
  const socket = { localAddress, remoteAddress } as unknown as Duplex;
  const answer = authenticators({ token, noAuth }).authenticate(request, socket);
  if (answer instanceof Promise) throw new Error("nothing takes time here");
  return answer.kind === "identity" ? answer.identity.name : answer.answer.status;
}

describe("the shared token, and nobody", () => {
  test("the token in a Bearer header, its scheme in any case, from anywhere", () => {
    for (const header of [`Bearer ${TOKEN}`, `bearer ${TOKEN}`, `BEARER   ${TOKEN}`]) {
      expect(statusOf(TOKEN, header, "192.0.2.1")).toBe("token");
    }
  });

  test.each([
    undefined,
    "",
    TOKEN,
    "Bearer",
    "Bearer ",
    `Bearer ${TOKEN} `,
    `Bearer ${TOKEN}a`,
    `Basic ${TOKEN}`,
    "Bearer ä",
  ])("%j is refused, also over loopback", (header) => {
    expect(statusOf(TOKEN, header, "127.0.0.1")).toBe(401);
  });

  test("without a token: loopback and unix sockets only, whatever the header says", () => {
    for (const address of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", undefined]) {
      expect(statusOf(undefined, undefined, address)).toBe("loopback");
    }
    for (const address of ["192.0.2.1", "::ffff:192.0.2.1", "fe80::1", "0.0.0.0"]) {
      expect(statusOf(undefined, `Bearer ${TOKEN}`, address)).toBe(403);
    }
  });

  test("without a token: both ends of the connection are on loopback", () => {
    for (const remoteAddress of ["192.0.2.1", "::ffff:192.0.2.1", "fe80::1", ""]) {
      expect(statusOf(undefined, undefined, "127.0.0.1", { remoteAddress })).toBe(403);
    }
    expect(statusOf(undefined, undefined, undefined, { remoteAddress: "192.0.2.1" })).toBe(403);
    expect(statusOf(undefined, undefined, "127.0.0.1", { remoteAddress: "127.0.0.2" })).toBe("loopback");
  });

  test.each(["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "via"])(
    "without a token: what a proxy passed on, as %s shows, is refused; with one it is not",
    (name) => {
      const headers = { [name]: "" };
      for (const address of ["127.0.0.1", undefined]) {
        expect(statusOf(undefined, undefined, address, { headers })).toBe(403);
      }
      expect(statusOf(TOKEN, `Bearer ${TOKEN}`, "127.0.0.1", { headers })).toBe("token");
    },
  );
});

interface Asking {
  readonly headers?: Readonly<Record<string, string>>;
  /** In place of those that `headers` make. */
  readonly rawHeaders?: readonly string[];
  readonly remoteAddress?: string;
}

/** Asks as a client would that sends this. */
async function ask(
  to: Authenticators,
  { headers = {}, rawHeaders = Object.entries(headers).flat(), remoteAddress = "192.0.2.1" }: Asking = {},
): Promise<Authentication> {
  const lower = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const request = { url: "/t", headers: lower, rawHeaders } as unknown as IncomingMessage;
  const socket = Object.assign(new EventEmitter(), {
    localAddress: "192.0.2.9",
    localPort: 9000,
    remoteAddress,
  });
  const answer = await to.authenticate(request, socket as unknown as Duplex);
  // Nothing is left on a socket that outlives this.
  expect(socket.eventNames()).toEqual([]);
  return answer;
}

function bearer(token: string): Asking {
  return { headers: { Authorization: `Bearer ${token}` } };
}

function nameOf(answer: Authentication): string {
  return answer.kind === "identity" ? answer.identity.name : `refused ${answer.answer.status}: ${answer.why}`;
}

const [ALICES, BOBS, CAROLS] = [newToken(), newToken(), newToken()];
const USERS = usersOf({
  alice: {
    tokens: [ALICES.digest],
    certificates: ["dns:laptop.example"],
  },
  bob: { tokens: [BOBS.digest], certificates: ["dns:desk.example"] },
  carol: { tokens: [CAROLS.digest], expires: "2020-01-01T00:00:00Z" },
});
const CERTIFICATE: PeerCertificate = {
  ...{ spkiSha256: "KEY=", dns: ["laptop.example"], email: [], uri: [] },
  ...{ validFrom: new Date(0), validTo: new Date(1) },
};

describe("who it is", () => {
  test("a user by a token: with the name of the user, and the id of the token", async () => {
    const answer = await ask(authenticators({ users: USERS }), bearer(ALICES.text));
    expect(answer).toEqual({
      kind: "identity",
      identity: {
        name: "user:alice",
        user: "alice",
        credential: `token:${ALICES.text.slice(8, 16)}`,
        digest: ALICES.digest.slice("k3v9q2m1:sha256:".length),
        grants: undefined,
        expiresAt: undefined,
        isLocal: false,
      },
    });
  });

  test("the shared token beside users: each is who it is", async () => {
    const both = authenticators({ users: USERS, token: TOKEN });
    expect(nameOf(await ask(both, bearer(TOKEN)))).toBe("token");
    expect(nameOf(await ask(both, bearer(BOBS.text)))).toBe("user:bob");
  });

  test("a certificate, with no word in a header", async () => {
    const server = authenticators({ users: USERS, certificateOf: () => CERTIFICATE });
    const answer = await ask(server);
    expect(answer).toMatchObject({
      identity: { name: "user:alice", credential: "certificate:dns:laptop.example" },
    });
  });

  test("T13: what a header says of a certificate is nothing", async () => {
    const server = authenticators({ users: USERS });
    const headers = {
      "X-Client-Cert": "laptop.example",
      "X-SSL-Client-Verify": "SUCCESS",
      "X-SSL-Client-S-DN": "CN=laptop.example",
      "X-Forwarded-Client-Cert": "DNS=laptop.example;Hash=KEY=",
      "X-Forwarded-User": "alice",
      "Remote-User": "alice",
    };
    expect(nameOf(await ask(server, { headers }))).toBe("refused 401: no credentials");
  });

  test("T12: credentials of two identities are refused, whichever they are", async () => {
    const certificateOf = () => CERTIFICATE;
    const server = authenticators({ users: USERS, token: TOKEN, certificateOf });
    expect(nameOf(await ask(server, bearer(ALICES.text)))).toBe("user:alice");
    for (const token of [BOBS.text, TOKEN]) {
      expect(nameOf(await ask(server, bearer(token)))).toMatch(/^refused 401: .*different identities/);
    }
    const two = authenticators({
      users: USERS,
      certificateOf: () => ({ ...CERTIFICATE, dns: ["laptop.example", "desk.example"] }),
    });
    expect(nameOf(await ask(two))).toMatch(/different identities/);
    // A wrong credential is not made up for by a right one.
    expect(nameOf(await ask(server, bearer(newToken().text)))).toMatch(/^refused 401: an unknown token/);
  });

  test("T12: two Authorization headers are refused, also when the one that counts is right", async () => {
    const server = authenticators({ users: USERS, token: TOKEN, authenticate: () => ({ name: "x" }) });
    const headers = { Authorization: `Bearer ${TOKEN}` };
    const rawHeaders = ["Authorization", `Bearer ${TOKEN}`, "authorization", `Bearer ${ALICES.text}`];
    expect(nameOf(await ask(server, { headers, rawHeaders }))).toMatch(/more than one Authorization/);
  });

  test("nobody has to be anybody where the options say so; the local ones are known as such", async () => {
    const open = authenticators({ noAuth: true });
    expect(await ask(open)).toMatchObject({
      identity: { name: "anyone", credential: "none", isLocal: false },
    });
    expect(statusOf(undefined, undefined, "127.0.0.1", { noAuth: true })).toBe("loopback");
    expect(open.description).toBe("none, for anybody");
  });

  test("T1: the operator is told how clients are authenticated", () => {
    const hook = () => undefined;
    expect(authenticators({}).description).toBe("none, loopback only");
    expect(authenticators({ token: TOKEN }).description).toBe("token");
    expect(authenticators({ token: TOKEN, users: USERS, authenticate: hook }).description).toBe(
      "token, users(3): 3 tokens, 0 keys, 2 certificates, hook",
    );
  });
});

describe("one refusal for everything", () => {
  test("T51: missing, unknown, wrong, expired: the same but for the challenge", async () => {
    const server = authenticators({ users: USERS, token: TOKEN });
    const wrong = `${ALICES.text.slice(0, -1)}${ALICES.text.endsWith("A") ? "B" : "A"}`;
    const asked: Asking[] = [
      {},
      bearer(newToken().text),
      bearer(wrong),
      bearer(CAROLS.text),
      bearer("x"),
      { headers: { Authorization: "Basic eDp5" } },
      { headers: { Authorization: "Culvert-Key" } },
    ];
    const answers = await Promise.all(
      asked.map((asking, i) => ask(server, { ...asking, remoteAddress: `192.0.2.${i}` })),
    );
    const shown = answers.map((answer) => {
      if (answer.kind !== "refused") throw new Error("let in");
      const { status, text, headers = {} } = answer.answer;
      const [, challenge = ""] = /challenge="([^"]*)"/.exec(headers["WWW-Authenticate"] ?? "") ?? [];
      expect(challenge).not.toBe("");
      return { challenge, rest: JSON.stringify({ status, text, headers }).replace(challenge, "") };
    });
    expect(new Set(shown.map(({ rest }) => rest)).size).toBe(1);
    expect(new Set(shown.map(({ challenge }) => challenge)).size).toBe(asked.length);
  });

  test("a challenge only where there are users whose key could answer it", async () => {
    const answer = await ask(authenticators({ token: TOKEN }));
    expect(answer).toMatchObject({ answer: { headers: { "WWW-Authenticate": 'Bearer realm="culvert"' } } });
  });

  test("T2: after three failures nothing counts from there that could be guessed, right or wrong; elsewhere it does", async () => {
    const hook = vi.fn();
    const server = authenticators({ users: USERS, token: TOKEN });
    const asking = authenticators({ users: USERS, authenticate: hook });
    for (let i = 0; i < 3; i += 1) expect(nameOf(await ask(server, bearer("x")))).toMatch(/^refused 401/);
    await ask(server, bearer("x")); // on a machine that took a second for three
    for (let i = 0; i < 4; i += 1) await ask(asking, bearer("x"));
    const asked = hook.mock.calls.length;
    expect(nameOf(await ask(asking, bearer("y")))).toMatch(/^refused 429/);
    expect(hook).toHaveBeenCalledTimes(asked);
    for (const token of ["x", TOKEN, newToken().text, CAROLS.text]) {
      const answer = await ask(server, bearer(token));
      expect(answer).toMatchObject({
        answer: { status: 429, headers: { "Retry-After": expect.stringMatching(/^(?:1[0-9]|20)$/) } },
      });
    }
    expect(nameOf(await ask(server))).toBe("refused 401: no credentials");
    expect(nameOf(await ask(server, { ...bearer(TOKEN), remoteAddress: "192.0.2.2" }))).toBe("token");
  });

  test("T2: nobody can keep a user out who comes from the same address, or through the same proxy", async () => {
    const { pem, publicText } = newLoginKey();
    const long = TOKEN.repeat(2);
    const server = authenticators({
      token: long,
      users: usersOf({ alice: { tokens: [ALICES.digest], keys: [publicText] } }),
      publicNames: ["tunnel.example"],
    });
    for (const headers of [{}, { "X-Forwarded-For": "192.0.2.3" }]) {
      const failing = { headers: { ...headers, Authorization: "Bearer x" } };
      for (let i = 0; i < 200; i += 1) await ask(server, failing);
      const last = await ask(server, failing);
      expect(nameOf(last)).toMatch(/^refused 429/);
      const first = await ask(server, { headers });
      const header = first.kind === "refused" ? first.answer.headers?.["WWW-Authenticate"] : undefined;
      const claim = { challenge: keyChallengeIn(header) ?? "", host: "tunnel.example", path: "/t" };
      const signature = readLoginKey(pem).sign(keyLoginInput(claim)).toString("base64");
      const login = keyLoginHeader({ key: publicText.slice(8), ...claim, signature });
      const names: string[] = [];
      for (const Authorization of [`Bearer ${ALICES.text}`, login, `Bearer ${long}`]) {
        names.push(nameOf(await ask(server, { headers: { ...headers, Authorization } })));
      }
      expect(names).toEqual(["user:alice", "user:alice", "token"]);
    }
  });

  test("T2: a challenge that does not count is no failure either, and the same whoever's key it is", async () => {
    const { pem, publicText } = newLoginKey();
    const users = usersOf({ alice: { tokens: [ALICES.digest], keys: [publicText] } });
    const hook = () => undefined;
    for (const server of [
      authenticators({ users, token: TOKEN }),
      authenticators({ users, token: TOKEN, authenticate: hook }),
    ]) {
      const claim = { challenge: "of-another-server", host: "192.0.2.9:9000", path: "/t" };
      const answers: Authentication[] = [];
      for (const key of [readLoginKey(pem), readLoginKey(newLoginKey().pem)]) {
        const signature = key.sign(keyLoginInput(claim)).toString("base64");
        const login = keyLoginHeader({ key: key.publicText.slice(8), ...claim, signature });
        for (let i = 0; i < 5; i += 1) answers.push(await ask(server, { headers: { Authorization: login } }));
      }
      const shown = answers.map((answer) => {
        if (answer.kind !== "refused") throw new Error("let in");
        return JSON.stringify(answer).replace(/challenge=\\"[^"]*"/, "");
      });
      expect(new Set(shown).size).toBe(1);
      expect(shown[0]).toMatch(/"status":401.*stale=true/);
      expect(nameOf(await ask(server, bearer(TOKEN)))).toBe("token");
      // Nor does the penalty of a neighbour count for it, which would send the client away for minutes.
      for (let i = 0; i < 5; i += 1) await ask(server, bearer("x"));
      expect(nameOf(await ask(server, bearer("x")))).toMatch(/^refused 429/);
      const login = keyLoginHeader({
        key: publicText.slice(8),
        ...claim,
        signature: readLoginKey(pem).sign(keyLoginInput(claim)).toString("base64"),
      });
      const late = await ask(server, { headers: { Authorization: login } });
      expect(late).toMatchObject({ answer: { status: 401 } });
      expect(JSON.stringify(late)).toMatch(/stale=true/);
    }
  });

  test("E6: who shows nothing begins a login by key; a certificate that is no user's is a login that failed", async () => {
    const { publicText } = newLoginKey();
    const shown = { ...CERTIFICATE, dns: ["stolen.example"] };
    const isUsualOf = async (users: Users, certificate?: PeerCertificate): Promise<boolean | undefined> => {
      const answer = await ask(authenticators({ users, certificateOf: () => certificate }));
      return answer.kind === "refused" ? answer.isUsual : undefined;
    };
    const keysOnly = usersOf({ alice: { keys: [publicText] } });
    const expired = usersOf({
      alice: { keys: [publicText] },
      bob: { certificates: ["dns:laptop.example"], expires: "1970-01-02T00:00:00Z" },
    });
    expect(await isUsualOf(USERS)).toBe(true);
    expect(await isUsualOf(USERS, shown)).toBe(false);
    expect(await isUsualOf(expired, CERTIFICATE)).toBe(false);
    // Where nobody logs in by one, it only opened the way.
    expect(await isUsualOf(keysOnly, shown)).toBe(true);
    // The last one who had one is gone.
    expect(await isUsualOf(usersOf({ alice: { tokens: [ALICES.digest] } }), shown)).toBe(false);
  });

  test("T2: no credentials are no failure, however often", async () => {
    const server = authenticators({ users: USERS });
    for (let i = 0; i < 50; i += 1) await ask(server);
    expect(nameOf(await ask(server, bearer(ALICES.text)))).toBe("user:alice");
  });
});

describe("the authenticate option", () => {
  test("says who it is, of what nobody else knows", async () => {
    const asked: AuthenticationRequest[] = [];
    const server = authenticators({
      users: USERS,
      authenticate: async (request) => {
        asked.push(request);
        return { name: "dave", expiresAt: 9e15 };
      },
    });
    expect(await ask(server, bearer("its-own"))).toMatchObject({
      identity: {
        name: "hook:dave",
        user: undefined,
        credential: "hook",
        expiresAt: 9e15,
        grants: undefined,
      },
    });
    expect(asked).toMatchObject([
      { path: "/t", bearer: "its-own", remoteAddress: "192.0.2.1", isLocal: false, certificate: undefined },
    ]);
    expect(asked[0]?.signal.aborted).toBe(true);
    expect(nameOf(await ask(server, bearer(ALICES.text)))).toBe("user:alice");
    expect(asked).toHaveLength(1);
    expect(nameOf(await ask(server, { headers: { Cookie: "c=1" } }))).toBe("hook:dave");
    expect(asked[1]).toMatchObject({ bearer: undefined, headers: { cookie: "c=1" } });
  });

  test("a user of its own cannot be named by it", async () => {
    const server = authenticators({ users: USERS, authenticate: () => ({ name: "user:alice" }) });
    expect(nameOf(await ask(server))).toBe("hook:user:alice");
  });

  test("T12: names nobody else beside a certificate that names a user", async () => {
    const certificateOf = () => CERTIFICATE;
    const server = authenticators({ users: USERS, certificateOf, authenticate: () => ({ name: "dave" }) });
    expect(nameOf(await ask(server))).toBe("user:alice");
    expect(nameOf(await ask(server, bearer("its-own")))).toMatch(/different identities/);
  });

  const FAULTS: readonly (readonly [string, AuthenticateHook])[] = [
    ["says nothing", () => undefined],
    ["says null", () => null as unknown as undefined],
    ["throws", () => fail()],
    ["rejects", async () => fail()],
    ["says a name of nothing", () => ({ name: "" })],
    ["says no name", () => ({}) as { name: string }],
    ["says a name with a line break", () => ({ name: "a\nb" })],
    ["says a time that is none", () => ({ name: "a", expiresAt: Number.NaN })],
    ["says a time that is over", () => ({ name: "a", expiresAt: Date.now() - 1 })],
    ["says grants that are none", () => ({ name: "a", grants: { connect: { allow: ["::::"] } } })],
    ["says true", () => true as unknown as { name: string }],
  ];

  test.each(FAULTS)("that %s lets nobody in, with the answer that everybody gets", async (_what, hook) => {
    const lines: unknown[] = [];
    const logger = { ...silentLogger, warn: (...line: unknown[]) => lines.push(line) };
    const server = authenticators({ authenticate: hook, handshakeTimeoutMs: 20, logger });
    const answer = await ask(server, bearer("its-own"));
    expect(answer).toMatchObject({
      kind: "refused",
      answer: { status: 401, text: "Valid credentials are needed." },
    });
    expect(JSON.stringify(lines)).not.toContain("its-own");
  });

  test("that does not answer in time sends the client away for a while only; who wants a challenge gets it", async () => {
    const hook: AuthenticateHook = () => new Promise(() => undefined);
    const server = authenticators({ users: USERS, authenticate: hook, handshakeTimeoutMs: 5 });
    for (let i = 0; i < 5; i += 1) {
      expect(nameOf(await ask(server, bearer("its-own")))).toBe(
        "refused 503: the authenticate option did not answer in time",
      );
    }
    expect(await ask(server)).toMatchObject({
      answer: { status: 401, headers: { "WWW-Authenticate": expect.stringContaining("challenge=") } },
    });
    const alone = authenticators({ authenticate: hook, handshakeTimeoutMs: 5 });
    expect(nameOf(await ask(alone))).toMatch(/^refused 503/);
  });

  test("T2: whom it does not know has failed; who was not answered has not", async () => {
    const unknown = authenticators({ authenticate: () => undefined });
    const broken = authenticators({ authenticate: () => fail() });
    for (let i = 0; i < 4; i += 1) {
      await ask(unknown, bearer("x"));
      await ask(broken, bearer("x"));
    }
    expect(nameOf(await ask(unknown, bearer("x")))).toMatch(/^refused 429/);
    expect(nameOf(await ask(broken, bearer("x")))).toMatch(/^refused 401/);
  });

  function fail(): never {
    throw new Error("the directory is down");
  }
});
