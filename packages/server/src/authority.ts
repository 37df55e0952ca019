import {
  type Action,
  type Decision,
  decide,
  EVERYTHING,
  type Grants,
  hasExpired,
  NOTHING,
  type PolicyContext,
  type Question,
  type User,
  type Users,
} from "@culvert/policy";
import { CulvertError, checkTarget, type Endpoint, type ErrorCode, parseEndpoint } from "@culvert/protocol";
import type { Identity } from "./identity.ts";

export interface AuthorityOptions {
  readonly users: Users | undefined;
  /** What everybody may do who has no grants of its own; undefined: nothing was written out. */
  readonly common: Grants | undefined;
  /** Can only this machine reach the server, or is it mounted where that is the identity's to say? */
  readonly isLocalServer: () => boolean;
  /** Which ports are the server's own. */
  readonly context: PolicyContext;
}

/** What was asked for, read, and allowed as far as is known without its address; or why it cannot be. */
export type Wish =
  | { readonly kind: "wish"; readonly endpoint: Endpoint; readonly decision: Decision }
  | { readonly kind: "refuse"; readonly code: ErrorCode; readonly reason: string };

/**
 * Who may do what. The one place that decides: for every stream and every listener, of every kind, at the moment when it is
 * asked for. Nothing that was announced or allowed earlier counts.
 */
export class Authority {
  readonly #options: AuthorityOptions;
  #users: Users | undefined;

  constructor(options: AuthorityOptions) {
    this.#options = options;
    this.#users = options.users;
  }

  /** What clients may do, for the operator. */
  get description(): string {
    const { common, isLocalServer } = this.#options;
    if (this.#users === undefined && common === undefined) {
      return isLocalServer() ? "everything, to who comes from this machine" : "nothing: no rules were given";
    }
    const parts = this.#users === undefined ? [] : [`what users(${this.#users.byName.size}) are granted`];
    if (common !== undefined) {
      const { connect, listen } = common;
      parts.push(`to others: ${connect.allow.length} rules to connect, ${listen.allow.length} to listen`);
    }
    return parts.join("; ");
  }

  /** Is there nobody who may do anything? Whoever set that up has probably not finished. */
  get allowsNothing(): boolean {
    const { common, isLocalServer } = this.#options;
    if (this.#users === undefined && common === undefined) return !isLocalServer();
    const all = [...(this.#users?.byName.values() ?? [])].map(({ grants }) => grants);
    return [...all, common ?? NOTHING].every(
      ({ unrestricted, connect, listen }) =>
        !unrestricted && connect.allow.length === 0 && listen.allow.length === 0,
    );
  }

  /** From the next decision on these are the users. */
  setUsers(users: Users): void {
    this.#users = users;
  }

  grantsOf(identity: Identity): Grants {
    // Also in the moment before its sessions end.
    if (hasExpired(this.expiryOf(identity), Date.now())) return NOTHING;
    if (identity.user !== undefined) return this.#userOf(identity)?.grants ?? NOTHING;
    const { common, isLocalServer } = this.#options;
    const written = identity.grants ?? common;
    if (written !== undefined) return written;
    // Who wrote rules for somebody wants no others.
    const isUnwritten = this.#users === undefined;
    return isUnwritten && identity.isLocal && isLocalServer() ? EVERYTHING : NOTHING;
  }

  decide(identity: Identity, question: Question): Decision {
    return decide(this.grantsOf(identity), question, this.#options.context);
  }

  /** As it is asked by a client, in text: read, canonical, and decided as far as it can be without the address. */
  judge(identity: Identity, action: Action, text: string): Wish {
    let endpoint: Endpoint;
    try {
      endpoint = parseEndpoint(text, action);
      if (action === "connect") checkTarget(endpoint);
    } catch (error) {
      const code = error instanceof CulvertError ? error.code : "internal_error";
      return { kind: "refuse", code, reason: String(error) };
    }
    const decision = this.decide(identity, { action, endpoint });
    if (decision.allowed) return { kind: "wish", endpoint, decision };
    return { kind: "refuse", code: "forbidden", reason: decision.reason };
  }

  /** Until when it may be here, ms since the epoch; undefined: as long as nobody says otherwise. */
  expiryOf(identity: Identity): number | undefined {
    return this.#userOf(identity)?.expiresAt ?? identity.expiresAt;
  }

  /** May who came in as this not be here any more? @param now ms since the epoch. */
  isRevoked(identity: Identity, now: number): boolean {
    if (hasExpired(this.expiryOf(identity), now)) return true;
    if (identity.user === undefined) return false;
    const user = this.#userOf(identity);
    return user === undefined || !this.#holds(user, identity);
  }

  #userOf({ user }: Identity): User | undefined {
    return user === undefined ? undefined : this.#users?.byName.get(user);
  }

  /** Does the user still have what was shown? */
  #holds(user: User, { credential, digest }: Identity): boolean {
    const colon = credential.indexOf(":");
    const [kind, value] = [credential.slice(0, colon), credential.slice(colon + 1)];
    switch (kind) {
      case "token":
        return user.tokens.some(({ id, sha256 }) => id === value && sha256 === digest);
      case "key":
        return user.keys.includes(`ed25519:${value}`);
      case "certificate":
        return this.#users?.byCertificate.get(value)?.name === user.name;
      default:
        return false;
    }
  }
}
