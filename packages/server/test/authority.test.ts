import { commonGrants, EVERYTHING, NOTHING, parseGrants, parseUsers } from "@culvert/policy";
import { describe, expect, test } from "vitest";
import { Authority } from "../src/authority.ts";
import { somebody } from "./support/identities.ts";

const TOKEN = `k3v9q2m1:sha256:${"A".repeat(43)}`;
const KEY = `ed25519:${"A".repeat(43)}=`;

function usersOf(alice: string) {
  return parseUsers(`version: 1\nusers:\n  alice: ${alice}\n`, "users.yaml");
}

function authority(options: Partial<ConstructorParameters<typeof Authority>[0]> = {}): Authority {
  return new Authority({
    users: undefined,
    common: undefined,
    isLocalServer: () => true,
    context: {},
    ...options,
  });
}

const alice = somebody({
  ...{ name: "user:alice", user: "alice", credential: "token:k3v9q2m1" },
  digest: TOKEN.slice("k3v9q2m1:sha256:".length),
});
const common = commonGrants({ allowConnect: ["db.internal:5432"], allowListen: undefined });

describe("Authority.grantsOf", () => {
  test("nothing written: everything to who comes from this machine, if only this machine can", () => {
    expect(authority().grantsOf(somebody())).toBe(EVERYTHING);
    expect(authority().grantsOf(somebody({ isLocal: false }))).toBe(NOTHING);
    expect(authority({ isLocalServer: () => false }).grantsOf(somebody())).toBe(NOTHING);
  });

  test("written rules are for everybody without grants of their own, local or not", () => {
    expect(authority({ common: common! }).grantsOf(somebody())).toBe(common);
    expect(authority({ common: common! }).grantsOf(somebody({ isLocal: false }))).toBe(common);
  });

  test("who wrote users wants no others to have everything", () => {
    const users = usersOf(`{ tokens: ["${TOKEN}"] }`);
    expect(authority({ users }).grantsOf(somebody())).toBe(NOTHING);
    expect(authority({ users }).grantsOf(alice)).toBe(users.byName.get("alice")?.grants);
    expect(authority({ users, common: common! }).grantsOf(somebody())).toBe(common);
  });

  test("a user never falls back to the common rules, nor does one who is gone", () => {
    const users = usersOf("{}");
    const both = authority({ users, common: common! });
    expect(both.grantsOf(alice)).toBe(users.byName.get("alice")?.grants);
    expect(both.grantsOf(somebody({ user: "bob" }))).toBe(NOTHING);
  });

  test("T14: whose time is over may do nothing, also before its sessions have ended", () => {
    const users = usersOf("{ expires: 2020-01-01T00:00:00Z }");
    expect(authority({ users }).grantsOf(alice)).toBe(NOTHING);
    expect(authority().grantsOf(somebody({ expiresAt: 1 }))).toBe(NOTHING);
  });

  test("the hook's own grants win over the common rules", () => {
    const grants = parseGrants({ connect: { allow: ["*:80"] } }, "hook");
    expect(authority({ common: common! }).grantsOf(somebody({ grants }))).toBe(grants);
  });

  test("T26: a swap counts at the next decision, for all of it", () => {
    const endpoint = { scheme: "tcp", host: "db.internal", port: 5432 } as const;
    const first = usersOf('{ connect: { allow: ["db.internal:5432"] } }');
    const rules = authority({ users: first });
    const asked = () => rules.decide(alice, { action: "connect", endpoint, address: "10.0.0.1" }).allowed;
    expect(asked()).toBe(true);
    rules.setUsers(usersOf('{ connect: { allow: ["other.internal:5432"] } }'));
    expect(asked()).toBe(false);
  });
});

describe("Authority.isRevoked", () => {
  const at = Date.UTC(2027, 0, 1);
  const isRevoked = (user: string, credential: string, now = 0) =>
    authority({ users: usersOf(user) }).isRevoked({ ...alice, credential }, now);

  test("T14: who is gone, or has expired", () => {
    expect(authority({ users: usersOf("{}") }).isRevoked(somebody({ user: "bob" }), 0)).toBe(true);
    const expires = `{ tokens: ["${TOKEN}"], expires: 2027-01-01T00:00:00Z }`;
    expect(isRevoked(expires, "token:k3v9q2m1", at - 1)).toBe(false);
    expect(isRevoked(expires, "token:k3v9q2m1", at)).toBe(true);
  });

  test("T14: whose token, key or certificate is not in the file any more", () => {
    expect(isRevoked(`{ tokens: ["${TOKEN}"] }`, "token:k3v9q2m1")).toBe(false);
    expect(isRevoked(`{ keys: ["${KEY}"] }`, "token:k3v9q2m1")).toBe(true);
    const key = `key:${KEY.slice("ed25519:".length)}`;
    expect(isRevoked(`{ keys: ["${KEY}"] }`, key)).toBe(false);
    expect(isRevoked(`{ tokens: ["${TOKEN}"] }`, key)).toBe(true);
    expect(isRevoked('{ certificates: ["dns:laptop.example"] }', "certificate:dns:laptop.example")).toBe(
      false,
    );
    expect(isRevoked('{ certificates: ["dns:other.example"] }', "certificate:dns:laptop.example")).toBe(true);
  });

  test("F48: two tokens at a time; the old one is refused after its removal, the new one is not", () => {
    const next = TOKEN.replace("k3v9q2m1", "n3wt0k3n");
    const rules = authority({ users: usersOf(`{ tokens: ["${TOKEN}"] }`) });
    rules.setUsers(usersOf(`{ tokens: ["${TOKEN}", "${next}"] }`));
    expect(rules.isRevoked(alice, 0)).toBe(false);
    rules.setUsers(usersOf(`{ tokens: ["${next}"] }`));
    expect(rules.isRevoked(alice, 0)).toBe(true);
    expect(rules.isRevoked({ ...alice, credential: "token:n3wt0k3n" }, 0)).toBe(false);
  });

  test("an id that stands for another token now does not keep the old one in", () => {
    const rules = authority({ users: usersOf(`{ tokens: ["${TOKEN}"] }`) });
    rules.setUsers(usersOf(`{ tokens: ["k3v9q2m1:sha256:${"B".repeat(42)}A"] }`));
    expect(rules.isRevoked(alice, 0)).toBe(true);
  });

  test("who is no user is here until the hook's word ends", () => {
    expect(authority().isRevoked(somebody(), 1e15)).toBe(false);
    expect(authority().isRevoked(somebody({ expiresAt: at }), at - 1)).toBe(false);
    expect(authority().isRevoked(somebody({ expiresAt: at }), at)).toBe(true);
  });
});
