import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { verifyLogin } from "@culvert/peer";
import { hasExpired, type User, type Users } from "@culvert/policy";
import { type KeyLogin, keyLoginInput } from "@culvert/protocol";
import type { Identity } from "./identity.ts";
import { KeyChallenges } from "./key-challenges.ts";
import { tokenId } from "./login-token.ts";
import type { PeerCertificate } from "./peer-certificate.ts";
import { ServerNames } from "./server-names.ts";

/** Somebody that one credential of a request names. */
export type Claim = Pick<Identity, "name" | "user" | "credential" | "digest">;
/** `why` is for our log only. `isStale`: a challenge that does not count, which says nothing of who answered it. */
export type Found = { readonly claim: Claim } | { readonly why: string; readonly isStale?: true };

const STALE = { why: "a challenge that is not valid (any more)", isStale: true } as const;
/** What a token that nobody has is compared with, and a key that nobody has is checked by, so that it takes as long. */
const NOBODYS_DIGEST = sha256("nobody's");
const NOBODYS_KEY = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="; // RFC 8032 section 7.1, test 1

/** Finds the user whom a token, a key or a certificate names. */
export class UserLogins {
  readonly #challenges = new KeyChallenges();
  readonly #names: ServerNames;
  #users: Users | undefined;

  constructor(users: Users | undefined, publicNames: readonly string[]) {
    this.#users = users;
    this.#names = new ServerNames(publicNames);
  }

  set(users: Users): void {
    this.#users = users;
  }

  get exist(): boolean {
    return this.#users !== undefined;
  }

  get haveKeys(): boolean {
    return this.#users !== undefined && this.#users.byKey.size > 0;
  }

  get haveCertificates(): boolean {
    return this.#users !== undefined && this.#users.byCertificate.size > 0;
  }

  /** How many there are, and what they show. */
  get description(): string {
    const users = [...(this.#users?.byName.values() ?? [])];
    const counted = (noun: string, count: (user: User) => number): string => {
      const sum = users.reduce((total, user) => total + count(user), 0);
      return `${sum} ${noun}${sum === 1 ? "" : "s"}`;
    };
    const tokens = counted("token", (user) => user.tokens.length);
    const keys = counted("key", (user) => user.keys.length);
    const certificates = counted("certificate", (user) => user.certificates.length);
    return `users(${users.length}): ${tokens}, ${keys}, ${certificates}`;
  }

  /** By its id; whether that is known takes as long to find out as whether the rest is right. */
  byToken(text: string, digest: Buffer): Found {
    const id = tokenId(text);
    const known = id === undefined ? undefined : this.#users?.byTokenId.get(id);
    const isRight = timingSafeEqual(digest, digestOf(known?.token.sha256));
    if (known === undefined) return { why: "an unknown token" };
    const credential = `token:${known.token.id}`;
    return isRight ? claimOf(known.user, credential, known.token.sha256) : { why: `a wrong ${credential}` };
  }

  /** Something new to sign, for the next login by key. */
  challenge(now: number): string {
    return this.#challenges.create(now);
  }

  /** Whoever signed a challenge of ours, for a name of ours, with a key that is a user's. */
  byKey({ key, challenge, host, signature }: KeyLogin, request: IncomingMessage, socket: Duplex): Found {
    const now = performance.now();
    if (!this.#challenges.isValid(challenge, now)) return STALE;
    const paths = this.#names.pathsOf(host, request, socket);
    if (paths.length === 0) {
      return {
        why: `a login by key for ${host}, which is no name of this server: see the option publicNames`,
      };
    }
    const publicText = `ed25519:${key}`;
    const user = this.#users?.byKey.get(publicText);
    const bytes = Buffer.from(signature, "base64");
    const isRight = paths.some((path) =>
      verifyLogin(
        user === undefined ? NOBODYS_KEY : publicText,
        keyLoginInput({ challenge, host, path }),
        bytes,
      ),
    );
    if (user === undefined) return { why: "an unknown key" };
    if (!isRight) return { why: `a wrong signature by a key of ${user.name}` };
    if (!this.#challenges.use(challenge, now))
      return { why: "too many logins by key at once", isStale: true };
    return claimOf(user, `key:${key}`);
  }

  /** Whom a certificate that verified names: by its key, and by each of its alternative names. */
  byCertificate({ spkiSha256, dns, email, uri }: PeerCertificate): Claim[] {
    const marks = [
      `sha256:${spkiSha256}`,
      ...dns.map((name) => `dns:${name}`),
      ...email.map((address) => `email:${address}`),
      ...uri.map((name) => `uri:${name}`),
    ];
    return marks.flatMap((mark) => {
      const user = this.#users?.byCertificate.get(mark);
      const found = user === undefined ? undefined : claimOf(user, `certificate:${mark}`);
      return found !== undefined && "claim" in found ? [found.claim] : [];
    });
  }
}

function claimOf(user: User, credential: string, digest?: string): Found {
  if (hasExpired(user.expiresAt, Date.now())) {
    return { why: `the user ${user.name} has expired` };
  }
  return { claim: { name: `user:${user.name}`, user: user.name, credential, digest } };
}

export function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** Of another length it would throw when it is compared. */
export function digestOf(base64url: string | undefined): Buffer {
  const digest = base64url === undefined ? NOBODYS_DIGEST : Buffer.from(base64url, "base64url");
  return digest.length === NOBODYS_DIGEST.length ? digest : NOBODYS_DIGEST;
}
