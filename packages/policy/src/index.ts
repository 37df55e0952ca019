import { CulvertError, type Endpoint } from "@culvert/protocol";

/** One line of a grant, parsed. */
export interface Rule {
  /** As it was written. */
  readonly text: string;
  /** Its place, for explanations: `users.alice.connect.allow[0]`. */
  readonly where: string;
}

export interface RuleSet {
  readonly allow: readonly Rule[];
  readonly deny: readonly Rule[];
}

/** What an identity may have at once; undefined: as much as the server's own limits allow. */
export interface IdentityLimits {
  readonly sessions?: number;
  readonly streams?: number;
  readonly listeners?: number;
  readonly opensPerSecond?: number;
}

export interface Grants {
  readonly unrestricted: boolean;
  readonly listen: RuleSet;
  readonly connect: RuleSet;
  readonly limits: IdentityLimits;
}

const NO_RULES: RuleSet = Object.freeze({ allow: Object.freeze([]), deny: Object.freeze([]) });

/** What the local user of a server on loopback may do. */
export const EVERYTHING: Grants = Object.freeze({
  unrestricted: true,
  ...{ listen: NO_RULES, connect: NO_RULES, limits: Object.freeze({}) },
});
export const NOTHING: Grants = Object.freeze({ ...EVERYTHING, unrestricted: false });

export type Action = "listen" | "connect";

export interface Question {
  readonly action: Action;
  /** As it was asked for. */
  readonly endpoint: Endpoint;
  /** The IP address that is really dialed or bound; undefined: a name that is not resolved yet. */
  readonly address?: string | undefined;
}

export interface PolicyContext {
  /** Is this address and port one of the server's own? */
  readonly isOwn?: (address: string, port: number) => boolean;
}

export interface Decision {
  readonly allowed: boolean;
  readonly rule: Rule | undefined;
  readonly reason: string;
}

export interface RulesInput {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}

export interface GrantsInput {
  readonly listen?: RulesInput;
  readonly connect?: RulesInput;
  readonly limits?: IdentityLimits;
}

export interface TokenDigest {
  readonly id: string;
  /** SHA-256 over the whole text of the token, base64url. */
  readonly sha256: string;
}

export type CertificateMatch =
  | { readonly kind: "spki"; readonly sha256: string }
  | { readonly kind: "dns" | "email" | "uri"; readonly value: string };

export interface User {
  readonly name: string;
  readonly tokens: readonly TokenDigest[];
  readonly keys: readonly string[];
  readonly certificates: readonly CertificateMatch[];
  readonly grants: Grants;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number | undefined;
}

export interface Users {
  readonly byName: ReadonlyMap<string, User>;
  readonly byTokenId: ReadonlyMap<string, { readonly user: User; readonly token: TokenDigest }>;
  readonly byKey: ReadonlyMap<string, User>;
  /** Keys: `sha256:…`, `dns:…`, `email:…`, `uri:…`, as in the file, canonical. */
  readonly byCertificate: ReadonlyMap<string, User>;
}

export function parseGrants(_input: GrantsInput, where: string): Grants {
  throw new CulvertError("invalid_option", `${where}: not there yet`);
}

export function parseUsers(_text: string, name: string): Users {
  throw new CulvertError("invalid_option", `${name}: not there yet`);
}

export function decide(grants: Grants, _question: Question, _context: PolicyContext = {}): Decision {
  return { allowed: grants.unrestricted, rule: undefined, reason: "not there yet" };
}
