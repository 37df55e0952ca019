import * as z from "zod";
import type { GrantsInput } from "./grants.ts";
import { nearest } from "./nearest.ts";
import { PolicyFault } from "./policy-fault.ts";
import { MAX_RULES } from "./rule.ts";
import { shownText } from "./shown-text.ts";

/** The shape of grants and of the users file; what stands in the texts is read elsewhere. */

export interface UserInput extends GrantsInput {
  readonly tokens?: readonly string[] | undefined;
  readonly keys?: readonly string[] | undefined;
  readonly certificates?: readonly string[] | undefined;
  readonly expires?: string | undefined;
}

export interface UsersInput {
  readonly version: 1;
  readonly users: Readonly<Record<string, UserInput>>;
}

export const MAX_USERS = 100_000;
/** Tokens, keys or certificates of one user, each. */
const MAX_CREDENTIALS = 100;

const KEYS: Readonly<Record<"file" | "user" | "grants" | "rules" | "limits", readonly string[]>> = {
  file: ["version", "users"],
  user: ["tokens", "keys", "certificates", "expires", "connect", "listen", "limits"],
  grants: ["connect", "listen", "limits"],
  rules: ["allow", "deny"],
  limits: ["sessions", "streams", "listeners", "opensPerSecond"],
};

/** Checks the shape of what a hook or an option gave. @throws PolicyFault */
export function readGrantsInput(value: unknown, where: string): GrantsInput {
  return readShape(GRANTS, value, where, (path) => (path.length === 0 ? KEYS.grants : keysInGrants(path[0])));
}

/** Checks the shape of what a users file holds. @throws PolicyFault */
export function readUsersInput(value: unknown): UsersInput {
  return readShape(FILE, value, "", (path) => {
    if (path.length < 2) return path.length === 0 ? KEYS.file : [];
    return path.length === 2 ? KEYS.user : keysInGrants(path[2]);
  });
}

/** The JSON Schema (2020-12) by which editors complete and check a users file: `users.schema.json` of this package. */
export function usersJsonSchema(): object {
  return z.toJSONSchema(FILE, { target: "draft-2020-12", io: "input" });
}

// -- the schema

function rules<T>(
  rule: z.ZodType<T>,
  description: string,
  ...examples: string[]
): z.ZodType<readonly T[] | undefined> {
  return z
    .array(rule)
    .max(MAX_RULES)
    .optional()
    .meta({ description, examples: [examples] });
}

const CONNECT_RULE = z.string();
/** In YAML 8000 is a number, and yet a rule. */
const LISTEN_RULE = z.union([z.string(), z.int().min(0).max(65_535)]);

const CONNECT = z.strictObject({
  allow: rules(
    CONNECT_RULE,
    "What may be connected to, as HOST:PORTS or unix:/path. Nothing matches: denied.",
    ...["db.internal:5432", "*.svc.internal:80,443", "10.0.0.0/8:*"],
  ),
  deny: rules(CONNECT_RULE, "What may not be connected to, whatever is allowed.", "10.0.0.1:*"),
});

const LISTEN = z.strictObject({
  allow: rules(
    LISTEN_RULE,
    "Where the server may listen for this user, as PORTS (on loopback), ADDRESS:PORTS or unix:/path.",
    ...["8000-8999", "0.0.0.0:443"],
  ),
  deny: rules(LISTEN_RULE, "Where the server may not listen, whatever is allowed.", "8080"),
});

function limit(description: string): z.ZodType<number | undefined> {
  return z.int().min(1).max(1_000_000).optional().meta({ description });
}

const LIMITS = z.strictObject({
  sessions: limit("Most sessions at once."),
  streams: limit("Most streams at once, of all its sessions together."),
  listeners: limit("Most listeners on the server at once, of all its sessions together."),
  opensPerSecond: limit("Streams that may be opened in a second, after a burst of as many."),
});

const GRANT_SHAPE = {
  connect: CONNECT.optional().meta({ description: "What the server may connect to for this user." }),
  listen: LISTEN.optional().meta({ description: "Where the server may listen for this user." }),
  limits: LIMITS.optional().meta({
    description: "What this user may have at once. Default: the server's limits.",
  }),
};

const GRANTS: z.ZodType<GrantsInput> = z.strictObject(GRANT_SHAPE);

function credentials(description: string, pattern: string): z.ZodType<readonly string[] | undefined> {
  const line = z.string().meta({ pattern });
  return z.array(line).max(MAX_CREDENTIALS).optional().meta({ description });
}

const USER: z.ZodType<UserInput> = z.strictObject({
  tokens: credentials(
    "Digests of tokens, as `culvert token` prints them. Never a token itself.",
    "^[a-z0-9]{8}:sha256:[A-Za-z0-9_-]{43}$",
  ),
  keys: credentials("Public keys, as `culvert key` prints them.", "^ed25519:[A-Za-z0-9+/]{43}=$"),
  certificates: credentials(
    "What a client certificate must have: this public key (sha256:BASE64 of its SubjectPublicKeyInfo), or exactly this name (dns:, email:, uri:).",
    "^(sha256:[A-Za-z0-9+/]{43}=|dns:.+|email:.+|uri:.+)$",
  ),
  expires: z
    .string()
    .optional()
    .meta({
      description: "When the user stops being one: a moment with its zone.",
      examples: ["2027-01-01T00:00:00Z"],
    }),
  ...GRANT_SHAPE,
});

const USER_NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;

const FILE: z.ZodType<UsersInput> = z
  .strictObject({
    version: z.literal(1).meta({ description: "The version of this format." }),
    users: z.record(z.string().regex(USER_NAME), USER).meta({ description: "Each user by name." }),
  })
  .meta({
    title: "Users of a Culvert server",
    description: "Who may come in, and what each of them may do.",
  });

// -- its errors

type Path = readonly PropertyKey[];

function keysInGrants(key: PropertyKey | undefined): readonly string[] {
  if (key === "limits") return KEYS.limits;
  return key === "connect" || key === "listen" ? KEYS.rules : [];
}

function readShape<T>(
  schema: z.ZodType<T>,
  value: unknown,
  where: string,
  keysAt: (path: Path) => readonly string[],
): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const place = placeOf(where, issue.path);
  throw new PolicyFault(`${place}${place === "" ? "" : ": "}${sentenceOf(issue, keysAt(issue.path))}`);
}

/** `users.alice.connect.allow[1]` */
function placeOf(where: string, path: Path): string {
  return path.reduce<string>((place, key) => {
    if (typeof key === "number") return `${place}[${key}]`;
    const name = String(key);
    const shown = /^[\w.@-]{1,64}$/.test(name) ? name : shownText(name);
    return place === "" ? shown : `${place}.${shown}`;
  }, where);
}

/** Never shows a value: it may be a secret in the wrong place. */
function sentenceOf(issue: z.core.$ZodIssue, keys: readonly string[]): string {
  switch (issue.code) {
    case "unrecognized_keys": {
      const key = issue.keys[0]!;
      // "tokn" is nearer to one token than to tokens.
      const meant =
        nearest(key, keys) ?? keys.find((each) => nearest(key, [each.replace(/s$/, "")]) !== undefined);
      const mend = meant === undefined ? `the keys here are ${keys.join(", ")}` : `did you mean ${meant}?`;
      return `there is no key ${shownText(key)}: ${mend}`;
    }
    case "invalid_type":
      return TYPE_SENTENCES[issue.expected] ?? "is of the wrong type";
    case "invalid_union":
      return "a rule is text, or a port from 0 to 65535";
    case "invalid_value":
      return "must be 1: this program reads version 1 of the format, written as `version: 1`";
    case "invalid_key":
      return "the name of a user is 1 to 64 letters, digits, dots, hyphens, underscores and @, and begins with a letter or digit";
    case "too_big":
      return issue.origin === "array"
        ? `has more than ${issue.maximum} items`
        : `must be at most ${issue.maximum}`;
    case "too_small":
      return `must be at least ${issue.minimum}`;
    default:
      return "is not valid";
  }
}

const TYPE_SENTENCES: Readonly<Record<string, string>> = {
  array: "must be a list, written [a, b] or as lines that begin with -",
  object: "must be a map of keys to values",
  record: "must be a map of keys to values; write {} for an empty one",
  string: "must be text; put it in quotes",
  int: "must be a whole number",
  number: "must be a number",
};
