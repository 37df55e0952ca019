import { grantsOf } from "./grants.ts";
import { orInvalidOption, PolicyFault } from "./policy-fault.ts";
import {
  formatCertificateMatch,
  parseCertificateMatch,
  parseKey,
  parseTokenDigest,
  type TokenDigest,
  type User,
} from "./user.ts";
import { readUsersFile } from "./users-file.ts";
import { MAX_USERS, readUsersInput, type UserInput } from "./users-schema.ts";

/** Everybody whom a server knows, and the ways to find one of them. A value: a reload makes a new one. */
export interface Users {
  readonly byName: ReadonlyMap<string, User>;
  readonly byTokenId: ReadonlyMap<string, { readonly user: User; readonly token: TokenDigest }>;
  /** Keys: `ed25519:…`, as in the file. */
  readonly byKey: ReadonlyMap<string, User>;
  /** Keys: `sha256:…`, `dns:…`, `email:…`, `uri:…`, as {@link formatCertificateMatch} writes them. */
  readonly byCertificate: ReadonlyMap<string, User>;
}

/**
 * Reads a users file: YAML 1.2, which JSON is part of. The whole of it is checked before anything is returned, so that who
 * swaps the result for an older one never has half of it. Pure, and bounded in time by the size.
 *
 * @param text the text, or the bytes as they are in the file (UTF-8, with or without a byte order mark; at most 1 MiB).
 * @param name of the file, for errors: `users.yaml: users.alice.connect.allow[1] "10.0.0.1/8": …`.
 * @throws CulvertError `invalid_option`, whose detail names the place and the mend, and shows no credential.
 */
export function parseUsers(text: string | Uint8Array, name: string): Users {
  return orInvalidOption(() => {
    const { users } = readUsersInput(readUsersFile(text));
    const names = Object.keys(users);
    if (names.length > MAX_USERS) throw new PolicyFault(`users: there are more than ${MAX_USERS}`);
    return indexed(names.map((key) => parseUser(users[key]!, key)));
  }, name);
}

function parseUser(input: UserInput, name: string): User {
  const where = `users.${name}`;
  const each = <T>(
    key: "tokens" | "keys" | "certificates",
    parse: (text: string, place: string) => T,
  ): readonly T[] => {
    return Object.freeze((input[key] ?? []).map((text, at) => parse(text, `${where}.${key}[${at}]`)));
  };
  return Object.freeze({
    name,
    tokens: each("tokens", parseTokenDigest),
    keys: each("keys", parseKey),
    certificates: each("certificates", parseCertificateMatch),
    grants: grantsOf(input, where),
    expiresAt: input.expires === undefined ? undefined : parseInstant(input.expires, `${where}.expires`),
  });
}

/** Each credential leads to one user, or nobody could say who came in. */
function indexed(list: readonly User[]): Users {
  const byName = new Map(list.map((user) => [user.name, user]));
  const byTokenId = new Map<string, { user: User; token: TokenDigest }>();
  const byKey = new Map<string, User>();
  const byCertificate = new Map<string, User>();
  const add = <T>(
    map: Map<string, T>,
    key: string,
    value: T,
    owner: (value: T) => User,
    user: User,
    what: string,
  ): void => {
    const other = map.get(key);
    if (other !== undefined) {
      const whose = owner(other) === user ? "is there twice" : `is users.${owner(other).name}'s too`;
      throw new PolicyFault(
        `users.${user.name}.${what} ${whose}; a credential leads to one user, so leave it out in one place`,
      );
    }
    map.set(key, value);
  };
  const same = (user: User): User => user;
  for (const user of list) {
    for (const [at, token] of user.tokens.entries()) {
      add(
        byTokenId,
        token.id,
        { user, token },
        (entry) => entry.user,
        user,
        `tokens[${at}] (the id ${token.id})`,
      );
    }
    for (const [at, key] of user.keys.entries()) add(byKey, key, user, same, user, `keys[${at}]`);
    for (const [at, match] of user.certificates.entries()) {
      add(byCertificate, formatCertificateMatch(match), user, same, user, `certificates[${at}]`);
    }
  }
  return Object.freeze({ byName, byTokenId, byKey, byCertificate });
}

/** RFC 3339 section 5.6, with a zone: without one it would mean another moment on another machine. */
function parseInstant(text: string, where: string): number {
  const match = /^(\d{4}-\d\d-\d\d)T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/.exec(text);
  const time = match === null ? Number.NaN : Date.parse(text);
  // 30 February would be taken for a day in March.
  const isDay = match !== null && new Date(`${match[1]}T00:00:00Z`).toJSON()?.startsWith(match[1]!) === true;
  if (Number.isNaN(time) || !isDay) {
    throw new PolicyFault(`${where}: write a moment with its zone, as in 2027-01-01T00:00:00Z`);
  }
  return time;
}
