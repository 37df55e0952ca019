import { timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Logger } from "@culvert/peer";
import type { Users } from "@culvert/policy";
import { keyChallengeHeader } from "@culvert/protocol";
import { arrivedByLoopback, isLocalRequest } from "./arrival-path.ts";
import { type AuthenticateHook, askHook } from "./authenticate-hook.ts";
import { type Authorization, authorizationOf } from "./authorization.ts";
import type { HttpAnswer } from "./http-answer.ts";
import type { Identity } from "./identity.ts";
import { LoginPenalties, type LoginSource, loginSourceOf } from "./login-penalties.ts";
import type { PeerCertificate } from "./peer-certificate.ts";
import { waysIn } from "./server-options.ts";
import { type Claim, digestOf, type Found, sha256, UserLogins } from "./user-logins.ts";

/** Who is asking; or why nobody is let in: `answer` for the client, always the same one, `why` for our log only. */
export type Authentication =
  | { readonly kind: "identity"; readonly identity: Identity }
  | {
      readonly kind: "refused";
      readonly answer: HttpAnswer;
      readonly why: string;
      /** Nothing is wrong yet: it may be the first half of a login by key. */
      readonly isUsual?: boolean;
    };

type Refused = Extract<Authentication, { kind: "refused" }>;

export interface AuthenticatorsOptions {
  readonly token: string | undefined;
  readonly users: Users | undefined;
  readonly authenticate: AuthenticateHook | undefined;
  /** Lets everybody in, from everywhere. */
  readonly noAuth: boolean;
  /** Under which names, and paths, clients dial the server; see {@link ServerNames}. */
  readonly publicNames: readonly string[];
  /** What TLS has proven of the client at the other end. No header ever says it: anybody could write that. */
  readonly certificateOf: (socket: Duplex) => PeerCertificate | undefined;
  /** For the hook. */
  readonly handshakeTimeoutMs: number;
  readonly logger: Logger;
}

/** What a request shows, and where it came from. */
interface Shown {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly authorization: Authorization;
  readonly isLocal: boolean;
  readonly certificate: PeerCertificate | undefined;
  /** Whom its header names, and whom its certificate. */
  readonly byHeader: Found;
  readonly byCertificate: readonly Claim[];
}

/**
 * Decides who sent an upgrade request: the one place for it, and every transport passes here before its 101. What knows an
 * identity is asked in turn: the shared token, the users' tokens, keys and certificates, the caller's own function;
 * without any of them, whoever is on the same machine. A request whose credentials name two identities is refused.
 */
export class Authenticators {
  /** Nobody has to show anything. */
  readonly isOpen: boolean;
  readonly #options: AuthenticatorsOptions;
  readonly #shared: Buffer | undefined;
  readonly #users: UserLogins;
  readonly #penalties = new LoginPenalties();

  constructor(options: AuthenticatorsOptions) {
    this.#options = options;
    this.isOpen = waysIn(options).length === 0;
    this.#shared = options.token === undefined ? undefined : sha256(options.token);
    this.#users = new UserLogins(options.users, options.publicNames);
  }

  /** From now on these are the users; who is in already is not looked at here. */
  setUsers(users: Users): void {
    this.#users.set(users);
  }

  /** Some user logs in by a certificate. */
  get haveCertificates(): boolean {
    return this.#users.haveCertificates;
  }

  /** How clients are authenticated, for the operator. */
  get description(): string {
    if (this.isOpen) return this.#options.noAuth ? "none, for anybody" : "none, loopback only";
    const parts: string[] = this.#shared === undefined ? [] : ["token"];
    if (this.#users.exist) parts.push(this.#users.description);
    if (this.#options.authenticate !== undefined) parts.push("hook");
    return parts.join(", ");
  }

  /** Answers at once, unless the hook is to be asked. Never throws, never rejects. */
  authenticate(request: IncomingMessage, socket: Duplex): Authentication | Promise<Authentication> {
    if (this.isOpen) return this.#anybody(request, socket);
    const authorization = authorizationOf(request);
    // A certificate has been proven already, and nobody guesses one. What else a hook may read is its own to guard.
    const source = authorization.kind === "nothing" ? undefined : loginSourceOf(request, socket);
    const waitMs = source === undefined ? 0 : this.#penalties.waitMs(source, performance.now());
    const byHeader = this.#byAuthorization(authorization, request, socket);
    if (waitMs > 0 && !this.#isBeyondGuessing(byHeader)) {
      // Nothing was guessed: whose key is right in a moment must not stay away as long as one who fails.
      return "isStale" in byHeader ? this.#stale(byHeader.why) : penalised(waitMs);
    }

    const certificate = this.#options.certificateOf(socket);
    const shown: Shown = {
      ...{ request, socket, authorization, certificate },
      isLocal: isLocalRequest(request, socket),
      byHeader,
      byCertificate: certificate === undefined ? [] : this.#users.byCertificate(certificate),
    };
    const { authenticate: hook } = this.#options;
    return hook !== undefined && mayAskHook(shown)
      ? this.#byHook(hook, shown, source)
      : this.#decide(shown, source);
  }

  // -- who is it?

  #decide(
    { authorization, byHeader, byCertificate, certificate, isLocal }: Shown,
    source?: LoginSource,
  ): Authentication {
    if (authorization.kind !== "nothing" && "why" in byHeader) {
      return byHeader.isStale === true ? this.#stale(byHeader.why) : this.#refused(byHeader.why, source);
    }
    const claims = "claim" in byHeader ? [byHeader.claim, ...byCertificate] : byCertificate;
    const [first] = claims;
    if (first === undefined) return this.#asked(certificate);
    if (claims.some(({ name }) => name !== first.name)) return this.#refused(TWO_IDENTITIES, source);
    return identified({ ...first, grants: undefined, expiresAt: undefined, isLocal });
  }

  /** The time that it takes does not tell which part was wrong: the same is hashed and compared every time. */
  #byAuthorization(shown: Authorization, request: IncomingMessage, socket: Duplex): Found {
    if (shown.kind === "key") return this.#users.byKey(shown.login, request, socket);
    const text = shown.kind === "bearer" ? shown.token : "";
    const digest = sha256(text);
    const isShared = timingSafeEqual(digest, this.#shared ?? digestOf(undefined));
    const byUser = this.#users.byToken(text, digest);
    if (isShared && this.#shared !== undefined) {
      return { claim: { name: "token", user: undefined, credential: "shared-token" } };
    }
    return shown.kind === "bearer" ? byUser : { why: WHY[shown.kind] };
  }

  /**
   * Right, and nothing that could have been found by trying: a token or a key of a user, which are 256 random bits, or a long
   * shared token. A penalty would stop no guesses there; it would let any stranger keep out all who come from the same
   * address as he, as behind a NAT or a proxy in TCP mode.
   */
  #isBeyondGuessing(found: Found): boolean {
    if (!("claim" in found)) return false;
    return found.claim.user !== undefined || (this.#options.token?.length ?? 0) >= LONG_TOKEN;
  }

  async #byHook(
    hook: AuthenticateHook,
    { request, socket, authorization, certificate, byHeader, byCertificate, isLocal }: Shown,
    source: LoginSource | undefined,
  ): Promise<Authentication> {
    const { handshakeTimeoutMs: timeoutMs, logger } = this.#options;
    const bearer = authorization.kind === "bearer" ? authorization.token : undefined;
    const answer = await askHook(hook, request, socket, {
      ...{ bearer, certificate, isLocal, timeoutMs, logger },
    });
    // What it cannot answer is not the client's fault.
    if (answer.kind === "failed") return this.#refused("the authenticate option failed");
    // Who only wants a challenge gets it all the same.
    if (answer.kind === "late")
      return authorization.kind === "nothing" && this.#users.exist ? this.#refused(LATE) : UNANSWERED;
    if (answer.kind === "nobody" && "isStale" in byHeader) return this.#stale(byHeader.why);
    if (answer.kind === "nobody") return this.#refused("unknown to the authenticate option", source);
    if (byCertificate.length > 0) return this.#refused(TWO_IDENTITIES, source);
    const { name, grants, expiresAt } = answer;
    return identified({
      ...{ name: `hook:${name}`, user: undefined, credential: "hook" },
      ...{ grants, expiresAt, isLocal },
    });
  }

  /** The options refuse a public host without authentication; a mounted server learns only here where it is reachable. */
  #anybody(request: IncomingMessage, socket: Duplex): Authentication {
    const nothing = { user: undefined, credential: "none", grants: undefined, expiresAt: undefined };
    const isLocal = isLocalRequest(request, socket);
    if (isLocal) return identified({ name: "loopback", ...nothing, isLocal });
    if (this.#options.noAuth) return identified({ name: "anyone", ...nothing, isLocal });
    return arrivedByLoopback(socket) ? PROXIED : NOT_LOOPBACK;
  }

  /** One answer, whatever was wrong. @param source Of credentials that were wrong: it pays for them. */
  #refused(why: string, source?: LoginSource): Refused {
    if (source !== undefined) this.#penalties.failed(source, performance.now());
    return this.#asking(why);
  }

  /**
   * The challenge was another server's, or this one was started anew between the two requests of the client: nobody's guess, and
   * nothing that a person had to mend. It is the same whoever's key it is, which was not looked at.
   */
  #stale(why: string): Refused {
    return this.#asking(why, true);
  }

  /**
   * There is no Authorization, and nobody knows the certificate, if there is one. That is how a login by key begins; but where
   * users log in by certificates, one that is not theirs (any more) is a login that failed.
   */
  #asked(certificate: PeerCertificate | undefined): Refused {
    const { exist } = this.#users;
    if (certificate === undefined || !exist) return { ...this.#refused("no credentials"), isUsual: exist };
    const isUsual = this.#users.haveKeys && !this.#users.haveCertificates;
    return { ...this.#refused("a certificate that is no user's (any more)"), isUsual };
  }

  #asking(why: string, isStale = false): Refused {
    const now = performance.now();
    // Also where no user has a key: the next moment one may, and nobody else needs to know.
    const byKey = this.#users.exist ? `, ${keyChallengeHeader(this.#users.challenge(now), isStale)}` : "";
    const headers = { "WWW-Authenticate": `Bearer realm="culvert"${byKey}` };
    return { kind: "refused", why, answer: { status: 401, text: "Valid credentials are needed.", headers } };
  }
}

/** It may know what nobody else knows; never a request that shows two things where one is meant. */
function mayAskHook({ authorization, byHeader, byCertificate }: Shown): boolean {
  if (authorization.kind === "several" || "claim" in byHeader) return false;
  return authorization.kind !== "nothing" || byCertificate.length === 0;
}

function identified(identity: Identity): Authentication {
  return { kind: "identity", identity };
}

function penalised(waitMs: number): Authentication {
  const headers = { "Retry-After": String(Math.ceil(waitMs / 1000)) };
  const text = "Too many failed logins came from here; come back later.";
  return { kind: "refused", why: "penalised", answer: { status: 429, text, headers } };
}

/** Characters of a shared token that nobody guesses through a network: 128 bits, if they are hexadecimal digits. */
const LONG_TOKEN = 32;
const TWO_IDENTITIES = "credentials of different identities";
const LATE = "the authenticate option did not answer in time";
/** Not 401: a client would go away for good, and a crowd that keeps the hook busy would drive away everybody who comes meanwhile. */
const UNANSWERED: Authentication = {
  kind: "refused",
  why: LATE,
  answer: { status: 503, text: "Who this is could not be found out in time; come back later." },
};
const WHY: Readonly<Record<"nothing" | "other" | "several", string>> = {
  nothing: "no credentials",
  other: "an Authorization header of another kind",
  several: "more than one Authorization header",
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
