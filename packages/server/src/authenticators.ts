import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Logger } from "@culvert/peer";
import type { User, Users } from "@culvert/policy";
import { arrivedByLoopback, isLocalRequest, isProxied } from "./arrival-path.ts";
import { type AuthenticateHook, askHook } from "./authenticate-hook.ts";
import { type Authorization, authorizationOf } from "./authorization.ts";
import type { HttpAnswer } from "./http-answer.ts";
import type { Identity } from "./identity.ts";
import { type PeerCertificate, peerCertificateOf } from "./peer-certificate.ts";

/** Who is asking; or why nobody is let in: `answer` for the client, always the same one, `why` for our log only. */
export type Authentication =
  | { readonly kind: "identity"; readonly identity: Identity }
  | { readonly kind: "refused"; readonly answer: HttpAnswer; readonly why: string };

export interface AuthenticatorsOptions {
  readonly token: string | undefined;
  readonly users: Users | undefined;
  readonly authenticate: AuthenticateHook | undefined;
  /** Lets everybody in, from everywhere. */
  readonly noAuth: boolean;
  /** For the hook. */
  readonly handshakeTimeoutMs: number;
  readonly logger: Logger;
}

/** Somebody that one credential of a request names. */
type Claim = Pick<Identity, "name" | "user" | "credential">;
type Found = { readonly claim: Claim } | { readonly why: string };

/** What a token that nobody has is compared with, so that it takes as long. */
const NOBODYS: Buffer = createHash("sha256").update("nobody's").digest();
const USER_TOKEN = /^culvert_([a-z0-9]{8})_[A-Za-z0-9_-]{43}$/;

/**
 * Decides who sent an upgrade request: the one place for it, and every transport passes here before its 101. What knows an
 * identity is asked in turn: the shared token, the users' tokens and certificates, the caller's own function;
 * without any of them, whoever is on the same machine. A request whose credentials name two identities is refused.
 */
export class Authenticators {
  readonly #options: AuthenticatorsOptions;
  readonly #shared: Buffer | undefined;
  #users: Users | undefined;

  constructor(options: AuthenticatorsOptions) {
    this.#options = options;
    this.#shared = options.token === undefined ? undefined : sha256(options.token);
    this.#users = options.users;
  }

  /** From now on these are the users; who is in already is not looked at here. */
  setUsers(users: Users): void {
    this.#users = users;
  }

  /** Nobody has to show anything. */
  get isOpen(): boolean {
    const { token, authenticate } = this.#options;
    return token === undefined && this.#users === undefined && authenticate === undefined;
  }

  /** How clients are authenticated, for the operator. */
  get description(): string {
    if (this.isOpen) return this.#options.noAuth ? "none, for anybody" : "none, loopback only";
    const parts: string[] = this.#shared === undefined ? [] : ["token"];
    if (this.#users !== undefined) {
      const users = [...this.#users.byName.values()];
      const sum = (count: (user: User) => number): number => users.reduce((n, user) => n + count(user), 0);
      const tokens = sum((user) => user.tokens.length);
      const keys = sum((user) => user.keys.length);
      const certificates = sum((user) => user.certificates.length);
      parts.push(
        `users(${users.length}): ${counted(tokens, "token")}, ${counted(keys, "key")}, ${counted(certificates, "certificate")}`,
      );
    }
    if (this.#options.authenticate !== undefined) parts.push("hook");
    return parts.join(", ");
  }

  /** Answers at once, unless the hook is to be asked. Never throws, never rejects. */
  authenticate(request: IncomingMessage, socket: Duplex): Authentication | Promise<Authentication> {
    if (this.isOpen) return this.#anybody(request, socket);
    const isLocal = isLocalRequest(request, socket);
    const shown = authorizationOf(request);
    const byHeader = this.#byAuthorization(shown);
    const certificate = peerCertificateOf(socket);
    const byCertificate = certificate === undefined ? [] : this.#byCertificate(certificate);
    if (mayAskHook(shown, byHeader, byCertificate)) {
      const { authenticate: hook } = this.#options;
      if (hook !== undefined) return this.#byHook(hook, request, socket, { shown, byCertificate, isLocal });
    }
    return this.#decide(shown, byHeader, byCertificate, isLocal);
  }

  #decide(
    shown: Authorization,
    byHeader: Found,
    byCertificate: readonly Claim[],
    isLocal: boolean,
  ): Authentication {
    const isShown = shown.kind !== "nothing";
    if (isShown && !("claim" in byHeader)) return this.#refused(byHeader.why);
    const claims = "claim" in byHeader ? [byHeader.claim, ...byCertificate] : byCertificate;
    const [first] = claims;
    if (first === undefined) return this.#refused("no credentials");
    if (claims.some(({ name }) => name !== first.name)) {
      return this.#refused("credentials of different identities");
    }
    return identified({ ...first, grants: undefined, expiresAt: undefined, isLocal });
  }

  // -- who is it?

  /** The time that it takes does not tell which part of it was wrong: the same is hashed and compared every time. */
  #byAuthorization(shown: Authorization): Found {
    const text = shown.kind === "bearer" ? shown.token : "";
    const digest = sha256(text);
    const isShared = timingSafeEqual(digest, this.#shared ?? NOBODYS) && this.#shared !== undefined;
    const id = USER_TOKEN.exec(text)?.[1];
    const known = id === undefined ? undefined : this.#users?.byTokenId.get(id);
    const isRight = timingSafeEqual(digest, digestOf(known?.token.sha256)) && known !== undefined;
    if (isShared) return { claim: { name: "token", user: undefined, credential: "shared-token" } };
    if (isRight) return claimOf(known.user, `token:${known.token.id}`);
    switch (shown.kind) {
      case "nothing":
        return { why: "no credentials" };
      case "several":
        return { why: "more than one Authorization header" };
      case "other":
        return { why: "an Authorization header of another kind" };
      case "bearer":
        return {
          why: known === undefined ? "an unknown token" : `a wrong token of the id ${known.token.id}`,
        };
    }
  }

  /** Whom a certificate that verified names: by its key, and by each of its alternative names. */
  #byCertificate({ spkiSha256, dns, email, uri }: PeerCertificate): Claim[] {
    const marks = [
      `sha256:${spkiSha256}`,
      ...dns.map((name) => `dns:${name.toLowerCase()}`),
      ...email.map((name) => `email:${name}`),
      ...uri.map((name) => `uri:${name}`),
    ];
    const claims: Claim[] = [];
    for (const mark of marks) {
      const user = this.#users?.byCertificate.get(mark);
      if (user === undefined) continue;
      const found = claimOf(user, `certificate:${mark}`);
      if ("claim" in found) claims.push(found.claim);
    }
    return claims;
  }

  async #byHook(
    hook: AuthenticateHook,
    request: IncomingMessage,
    socket: Duplex,
    {
      shown,
      byCertificate,
      isLocal,
    }: { shown: Authorization; byCertificate: readonly Claim[]; isLocal: boolean },
  ): Promise<Authentication> {
    const { handshakeTimeoutMs: timeoutMs, logger } = this.#options;
    const bearer = shown.kind === "bearer" ? shown.token : undefined;
    const answer = await askHook(hook, request, socket, { bearer, isLocal, timeoutMs, logger });
    if (answer.kind === "failed") return this.#refused("the authenticate option failed");
    if (answer.kind === "nobody") return this.#refused("unknown to the authenticate option");
    if (byCertificate.length > 0) return this.#refused("credentials of different identities");
    const { name, grants, expiresAt } = answer;
    return identified({
      name: `hook:${name}`,
      user: undefined,
      credential: "hook",
      grants,
      expiresAt,
      isLocal,
    });
  }

  /** The options refuse a public host without authentication; a mounted server learns only here where it is reachable. */
  #anybody(request: IncomingMessage, socket: Duplex): Authentication {
    const nothing = { user: undefined, credential: "none", grants: undefined, expiresAt: undefined };
    const isLocal = isLocalRequest(request, socket);
    if (isLocal) return identified({ name: "loopback", ...nothing, isLocal });
    if (this.#options.noAuth) return identified({ name: "anyone", ...nothing, isLocal });
    if (!arrivedByLoopback(socket)) return NOT_LOOPBACK;
    return isProxied(request) ? PROXIED : NOT_LOOPBACK;
  }

  // -- refusals

  /** One answer, whatever was wrong. */
  #refused(why: string): Authentication {
    return { kind: "refused", why, answer: UNAUTHORIZED };
  }
}

/** It may know what nobody else knows; never a request that shows two things where one is meant. */
function mayAskHook(shown: Authorization, byHeader: Found, byCertificate: readonly Claim[]): boolean {
  if (shown.kind === "several" || "claim" in byHeader) return false;
  return shown.kind !== "nothing" || byCertificate.length === 0;
}

function claimOf(user: User, credential: string): Found {
  if (user.expiresAt !== undefined && user.expiresAt <= Date.now()) {
    return { why: `the user ${user.name} has expired` };
  }
  return { claim: { name: `user:${user.name}`, user: user.name, credential } };
}

function identified(identity: Identity): Authentication {
  return { kind: "identity", identity };
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** Of another length it would throw when it is compared. */
function digestOf(base64url: string | undefined): Buffer {
  const digest = base64url === undefined ? NOBODYS : Buffer.from(base64url, "base64url");
  return digest.length === NOBODYS.length ? digest : NOBODYS;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

const UNAUTHORIZED: HttpAnswer = {
  status: 401,
  text: "Valid credentials are needed.",
  headers: { "WWW-Authenticate": 'Bearer realm="culvert"' },
};

const NOT_LOOPBACK: Authentication = {
  kind: "refused",
  why: "no authentication, and not from loopback",
  answer: { status: 403, text: "Without authentication this server answers on loopback only." },
};

const PROXIED: Authentication = {
  kind: "refused",
  why: "no authentication, and through a proxy",
  answer: {
    status: 403,
    text: "Without authentication this server answers to its own machine only, and this request came through a proxy. Set a token.",
  },
};
