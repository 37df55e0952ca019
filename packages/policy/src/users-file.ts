import { type Document, LineCounter, parseDocument } from "yaml";
import type { Grants } from "./grants.ts";
import { type GrantsInput, orInvalidOption, readRules } from "./grants.ts";
import { PolicyFault } from "./policy-fault.ts";
import {
  formatCertificateMatch,
  parseCertificateMatch,
  parseKey,
  parseTokenDigest,
  type TokenDigest,
  type User,
} from "./user.ts";
import { MAX_USERS, readGrantsInput, readUsersInput, type UserInput } from "./users-schema.ts";

/** Everybody whom a server knows, and the ways to find one of them. A value: a reload makes a new one. */
export interface Users {
  readonly byName: ReadonlyMap<string, User>;
  readonly byTokenId: ReadonlyMap<string, { readonly user: User; readonly token: TokenDigest }>;
  /** Keys: `ed25519:…`, as in the file. */
  readonly byKey: ReadonlyMap<string, User>;
  /** Keys: `sha256:…`, `dns:…`, `email:…`, `uri:…`, as {@link formatCertificateMatch} writes them. */
  readonly byCertificate: ReadonlyMap<string, User>;
}

export const MAX_USERS_FILE_BYTES: number = 1024 * 1024;
/** What one alias may stand for in all; 9 levels of 9 make 400 million (CVE-2003-1564). */
const MAX_ALIASES = 10_000;
/** Values of all kinds, each alias counted as what it stands for; without aliases a file of that size has fewer. */
const MAX_VALUES = 1_000_000;
/** A rule is at depth 6. */
const MAX_DEPTH = 8;

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
    const value = parseYaml(decode(text));
    checkSize(value, 1, { left: MAX_VALUES });
    const { users } = readUsersInput(value);
    const names = Object.keys(users);
    if (names.length > MAX_USERS) throw new PolicyFault(`users: there are more than ${MAX_USERS}`);
    return indexed(names.map((key) => parseUser(users[key]!, key)));
  }, name);
}

/**
 * Reads grants as they are written in an option or given by a hook.
 * @param where names them in errors and explanations: `users.alice` gives `users.alice.connect.allow[0]`.
 * @throws CulvertError `invalid_option`, whose detail names the place and the mend.
 */
export function parseGrants(input: GrantsInput, where: string): Grants {
  return orInvalidOption(() => grantsOf(readGrantsInput(input, where), where));
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

function grantsOf({ listen, connect, limits }: GrantsInput, where: string): Grants {
  const ruleSet = (action: "listen" | "connect", input: GrantsInput["listen"]) => {
    return Object.freeze({
      allow: readRules(input?.allow, action, `${where}.${action}.allow`),
      deny: readRules(input?.deny, action, `${where}.${action}.deny`),
    });
  };
  const given = Object.entries(limits ?? {}).filter(([, value]) => value !== undefined);
  return Object.freeze({
    unrestricted: false,
    listen: ruleSet("listen", listen),
    connect: ruleSet("connect", connect),
    limits: Object.freeze(Object.fromEntries(given)),
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

function decode(input: string | Uint8Array): string {
  // A text has at least as many bytes as characters.
  if (input.length > MAX_USERS_FILE_BYTES) {
    throw new PolicyFault(
      `is larger than 1 MiB (${input.length} ${typeof input === "string" ? "characters" : "bytes"})`,
    );
  }
  let text: string;
  try {
    text =
      typeof input === "string"
        ? input
        : new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(input);
  } catch {
    throw new PolicyFault(NOT_UTF8);
  }
  // Readers that decode without complaint put U+FFFD where bytes were wrong; UTF-16 leaves NULs.
  if (/[\ufffd\0]/.test(text)) throw new PolicyFault(NOT_UTF8);
  return text.startsWith("\ufeff") ? text.slice(1) : text;
}

const NOT_UTF8 = "is not UTF-8; save it as UTF-8 text";

function parseYaml(text: string): unknown {
  if (text.trim() === "") throw new PolicyFault(EMPTY);
  const lines = new LineCounter();
  let document: Document.Parsed;
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      schema: "core",
      version: "1.2",
      strict: true,
      uniqueKeys: true,
      stringKeys: true,
      merge: false,
      logLevel: "silent",
    });
  } catch (error) {
    // A million brackets: the reader calls itself for each level.
    if (error instanceof RangeError) throw new PolicyFault(TOO_DEEP);
    throw error;
  }
  const [error] = [...document.errors, ...document.warnings];
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    // The reader's own message may hold a piece of the file.
    const why = YAML_SENTENCES[error.code] ?? "is not YAML";
    throw new PolicyFault(`line ${line}, column ${col}: ${why} (${error.code})`);
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (fault) {
    if (fault instanceof ReferenceError)
      throw new PolicyFault("has aliases that stand for too much, or for nothing");
    if (fault instanceof RangeError) throw new PolicyFault(TOO_DEEP);
    throw fault;
  }
  if (value === null || value === undefined) throw new PolicyFault(EMPTY);
  return value;
}

const EMPTY = "is empty; it begins with `version: 1`, and then `users:`";
const TOO_DEEP = `is nested deeper than ${MAX_DEPTH} levels`;

const YAML_SENTENCES: Readonly<Record<string, string>> = {
  BAD_ALIAS: "this alias is not one",
  BAD_INDENT: "the indentation does not fit",
  DUPLICATE_KEY: "this key is there twice",
  MULTIPLE_DOCS: "a second document begins here; there can be one only",
  NON_STRING_KEY: "a key is text; put it in quotes",
  TAB_AS_INDENT: "a tab cannot indent; use spaces",
  TAG_RESOLVE_FAILED: "tags (!…) have no meaning here",
  MISSING_CHAR: "a character is missing here, perhaps a quote, a comma or a bracket",
};

/** Aliases make a small text large, and even endless: counts what is really there, and stops early. */
function checkSize(value: unknown, depth: number, budget: { left: number }): void {
  budget.left -= 1;
  if (budget.left < 0)
    throw new PolicyFault(`has more than ${MAX_VALUES} values; aliases count as what they stand for`);
  if (typeof value !== "object" || value === null) return;
  if (depth > MAX_DEPTH) throw new PolicyFault(TOO_DEEP);
  // The checker of the shape would leave it out without a word.
  if (Object.hasOwn(value, "__proto__")) throw new PolicyFault('there is no key "__proto__"');
  for (const each of Array.isArray(value) ? value : Object.values(value)) checkSize(each, depth + 1, budget);
}
