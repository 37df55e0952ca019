import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { newLoginKey, readLoginKey } from "@culvert/peer";
import { type KeyLogin, keyLoginInput } from "@culvert/protocol";
import { describe, expect, test } from "vitest";
import { newToken } from "../src/index.ts";
import type { PeerCertificate } from "../src/peer-certificate.ts";
import { type Found, UserLogins } from "../src/user-logins.ts";
import { usersOf } from "./support/users.ts";

const REQUEST = { url: "/t", headers: { host: "evil.example" } } as IncomingMessage;
const SOCKET = { localAddress: "192.0.2.1", localPort: 9000 } as unknown as Duplex;
const PAST = "2020-01-01T00:00:00Z";

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function byToken(logins: UserLogins, text: string): Found {
  return logins.byToken(text, sha256(text));
}

describe("tokens", () => {
  const [alices, second, bobs, carols] = [newToken(), newToken(), newToken(), newToken()];
  const logins = new UserLogins(
    usersOf({
      alice: { tokens: [alices.digest, second.digest] },
      bob: { tokens: [bobs.digest] },
      carol: { tokens: [carols.digest], expires: PAST },
    }),
    [],
  );

  test("F48: each of a user's tokens names the user, and itself", () => {
    for (const { text, digest } of [alices, second]) {
      expect(byToken(logins, text)).toEqual({
        claim: {
          ...{ name: "user:alice", user: "alice", credential: `token:${digest.slice(0, 8)}` },
          digest: digest.slice("k3v9q2m1:sha256:".length),
        },
      });
    }
    expect(byToken(logins, bobs.text)).toMatchObject({ claim: { user: "bob" } });
  });

  test("T3: wrong ones, of whatever length, are refused and break nothing", () => {
    const { text } = alices;
    const id = text.slice(8, 16);
    const wrong = ["", "x", text.slice(0, -1), `${text}x`, text.slice(1), "y".repeat(8000), newToken().text];
    wrong.push(
      text.replace(id, bobs.text.slice(8, 16)),
      `culvert_${id}_${"A".repeat(43)}`,
      text.toUpperCase(),
    );
    for (const token of wrong) expect(byToken(logins, token)).toHaveProperty("why");
  });

  test("T3: a digest of another length in the users is nobody's, and breaks nothing", () => {
    const users = usersOf({ alice: { tokens: [alices.digest] } });
    // No file can say that; who makes users by hand can.
    const byTokenId = new Map(
      [...users.byTokenId].map(([id, { user }]) => [id, { user, token: { id, sha256: "AAAA" } }]),
    );
    const broken = new UserLogins({ ...users, byTokenId }, []);
    expect(byToken(broken, alices.text)).toHaveProperty("why");
  });

  test("T14: one that has expired names nobody", () => {
    expect(byToken(logins, carols.text)).toEqual({ why: "the user carol has expired" });
  });

  test("T5: what the log is told has no secret in it", () => {
    for (const text of [carols.text, `${alices.text.slice(0, -1)}x`, "culvert_", newToken().text]) {
      const found = byToken(logins, text);
      expect(JSON.stringify(found)).not.toContain(text.slice(17, 30) || "culvert_");
    }
  });

  test("are those of the users that there are now", () => {
    const changing = new UserLogins(usersOf({ alice: { tokens: [alices.digest] } }), []);
    changing.set(usersOf({ alice: { tokens: [second.digest] } }));
    expect(byToken(changing, alices.text)).toHaveProperty("why");
    expect(byToken(changing, second.text)).toHaveProperty("claim");
  });

  test("are counted for the operator, as everything that users show", () => {
    expect(logins.description).toBe("users(3): 4 tokens, 0 keys, 0 certificates");
    expect(new UserLogins(usersOf({ a: { keys: [newLoginKey().publicText] } }), []).description).toBe(
      "users(1): 0 tokens, 1 key, 0 certificates",
    );
  });
});

describe("keys", () => {
  const { pem, publicText } = newLoginKey();
  const key = readLoginKey(pem);
  const logins = new UserLogins(usersOf({ alice: { keys: [publicText] } }), ["tunnel.example.org"]);

  function loginOf(
    changes: Partial<KeyLogin> & { path?: string; signer?: typeof key } = {},
    challenge = logins.challenge(performance.now()),
  ): KeyLogin {
    const { path = "/t", signer = key, host = "tunnel.example.org" } = changes;
    const signature = signer.sign(keyLoginInput({ challenge, host, path })).toString("base64");
    const { key: shown = signer.publicText.slice(8) } = changes;
    return { key: shown, challenge: changes.challenge ?? challenge, host, signature };
  }

  test("a challenge of this server, signed for its name and path, by a user's key", () => {
    expect(logins.byKey(loginOf(), REQUEST, SOCKET)).toEqual({
      claim: { name: "user:alice", user: "alice", credential: `key:${publicText.slice(8)}` },
    });
  });

  test("T4: the same login once more is refused", () => {
    const login = loginOf();
    expect(logins.byKey(login, REQUEST, SOCKET)).toHaveProperty("claim");
    expect(logins.byKey(login, REQUEST, SOCKET)).toMatchObject({
      why: expect.stringContaining("challenge"),
      isStale: true,
    });
  });

  test("T4: one that went wrong does not use up the challenge of who has the key", () => {
    const challenge = logins.challenge(performance.now());
    const stolen = { ...loginOf({}, challenge), signature: `${"A".repeat(86)}==` };
    expect(logins.byKey(stolen, REQUEST, SOCKET)).toHaveProperty("why");
    expect(logins.byKey(loginOf({}, challenge), REQUEST, SOCKET)).toHaveProperty("claim");
  });

  test("T4: what a client signed for another server, which passed our challenge on, is refused", () => {
    expect(logins.byKey(loginOf({ host: "evil.example" }), REQUEST, SOCKET)).toEqual({
      why: expect.stringMatching(/evil\.example.*publicNames/),
    });
  });

  test("a wrong path, another one's challenge, another key, a name that was changed afterwards", () => {
    const other = readLoginKey(newLoginKey().pem);
    const elsewhere = new UserLogins(undefined, []).challenge(performance.now());
    for (const login of [
      loginOf({ path: "/" }),
      loginOf({}, elsewhere),
      loginOf({ signer: other }),
      loginOf({ signer: other, key: publicText.slice(8) }),
      { ...loginOf({ host: "evil.example" }), host: "tunnel.example.org" },
    ]) {
      expect(logins.byKey(login, REQUEST, SOCKET)).toHaveProperty("why");
    }
  });
});

describe("certificates that TLS has verified", () => {
  const spki = "A".repeat(43);
  const logins = new UserLogins(
    usersOf({
      alice: { certificates: ["dns:laptop.example"] },
      bob: { certificates: [`sha256:${spki}=`] },
      carol: { certificates: ["email:Carol@mail.example"], expires: PAST },
      dave: {
        certificates: ["uri:spiffe://x/dave", "email:Dave@mail.example"],
      },
    }),
    [],
  );
  const names = (facts: Partial<PeerCertificate>): (string | undefined)[] =>
    logins
      .byCertificate({
        ...{ spkiSha256: "other", dns: [], email: [], uri: [] },
        ...{ validFrom: new Date(0), validTo: new Date(0), ...facts },
      })
      .map(({ user }) => user);

  test("T12: name whoever has that key, or that very name", () => {
    expect(names({ dns: ["laptop.example"] })).toEqual(["alice"]);
    expect(names({ spkiSha256: `${spki}=` })).toEqual(["bob"]);
    expect(names({ uri: ["spiffe://x/dave"], email: ["Dave@mail.example"] })).toEqual(["dave", "dave"]);
  });

  test("T12: name nobody by a part of a name, by another kind of it, or after the end", () => {
    expect(names({})).toEqual([]);
    expect(names({ dns: ["x.laptop.example", "laptop.example.x", "*.example", "example"] })).toEqual([]);
    expect(names({ email: ["laptop.example", "dave@mail.example"], uri: ["laptop.example"] })).toEqual([]);
    expect(names({ dns: [`sha256:${spki}=`, `laptop.example, dns:x`] })).toEqual([]);
    expect(names({ email: ["Carol@mail.example"] })).toEqual([]);
  });

  test("may name several; that is for who asks to judge", () => {
    expect(names({ spkiSha256: `${spki}=`, dns: ["laptop.example"] })).toEqual(["bob", "alice"]);
  });

  test("the credential is the entry of the users file that named the user: with it the session ends", () => {
    const facts = { spkiSha256: "KEY=", dns: ["laptop.example"], email: [], uri: [] };
    const dates = { validFrom: new Date(0), validTo: new Date(0) };
    expect(logins.byCertificate({ ...facts, ...dates })).toEqual([
      { name: "user:alice", user: "alice", credential: "certificate:dns:laptop.example" },
    ]);
  });
});
