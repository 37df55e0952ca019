import { canonicalHost } from "@culvert/protocol";
import { parseAddress } from "./address.ts";
import type { Grants } from "./grants.ts";
import { PolicyFault } from "./policy-fault.ts";

/** What is kept of a token: enough to know it again, not enough to show it. */
export interface TokenDigest {
  /** The 8 characters of the token that are no secret. */
  readonly id: string;
  /** SHA-256 over the whole text of the token, base64url without padding. */
  readonly sha256: string;
}

/** What a verified client certificate must have: this public key, or exactly this name among its SANs (RFC 5280 section 4.2.1.6). */
export type CertificateMatch =
  /** SHA-256 over the SubjectPublicKeyInfo (DER), base64 with padding. */
  | { readonly kind: "spki"; readonly sha256: string }
  | { readonly kind: "dns" | "email" | "uri"; readonly value: string };

/** By what somebody shows to be a user; any one of these is enough. */
export interface Credentials {
  readonly tokens: readonly TokenDigest[];
  /** As in the file: `ed25519:` and the 32 bytes of the public key (RFC 8032), base64 with padding. */
  readonly keys: readonly string[];
  readonly certificates: readonly CertificateMatch[];
}

export interface User extends Credentials {
  readonly name: string;
  readonly grants: Grants;
  /** Milliseconds since the epoch; from then on the user is nobody. Undefined: never. Who asks brings the clock. */
  readonly expiresAt: number | undefined;
}

/** Is the time of a user, or of whoever else has such a moment, over? @param now Milliseconds since the epoch. */
export function hasExpired(expiresAt: number | undefined, now: number): boolean {
  return expiresAt !== undefined && expiresAt <= now;
}

/** 32 bytes: the last character holds the bits that are left, and its others are 0, so that there is one spelling. */
const BASE64URL_32 = "[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]";
const BASE64_32 = "[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=";
const TOKEN_LINE: RegExp = new RegExp(`^([a-z0-9]{8}):sha256:(${BASE64URL_32})$`);
const KEY_LINE: RegExp = new RegExp(`^ed25519:${BASE64_32}$`);
const SPKI_LINE: RegExp = new RegExp(`^sha256:(${BASE64_32})$`);

/**
 * Reads `k3v9q2m1:sha256:…`.
 * @throws PolicyFault that never shows the text: it may be the token itself, put there by mistake.
 */
export function parseTokenDigest(text: string, where: string): TokenDigest {
  const match = TOKEN_LINE.exec(text);
  if (match !== null) return Object.freeze({ id: match[1]!, sha256: match[2]! });
  if (text.startsWith("culvert_")) {
    throw new PolicyFault(
      `${where}: this is the token itself, which belongs to the client only; write its line ID:sha256:DIGEST, ` +
        "and give out a new token if others could read this file",
    );
  }
  throw new PolicyFault(`${where}: write ID:sha256:DIGEST, as \`culvert token\` prints it`);
}

/**
 * Checks `ed25519:…`.
 * @throws PolicyFault that never shows the text: it may be a private key.
 */
export function parseKey(text: string, where: string): string {
  if (KEY_LINE.test(text)) return text;
  if (text.includes("PRIVATE KEY")) {
    throw new PolicyFault(
      `${where}: this is a private key, which belongs to the client only; make a new one`,
    );
  }
  throw new PolicyFault(
    `${where}: write ed25519:BASE64, the public key of 32 bytes as \`culvert key\` prints it`,
  );
}

/** Reads `sha256:…`, `dns:…`, `email:…` or `uri:…`. @throws PolicyFault */
export function parseCertificateMatch(text: string, where: string): CertificateMatch {
  const spki = SPKI_LINE.exec(text);
  if (spki !== null) return Object.freeze({ kind: "spki", sha256: spki[1]! });
  const colon = text.indexOf(":");
  const kind = text.slice(0, Math.max(colon, 0));
  const value = text.slice(colon + 1);
  switch (kind) {
    case "sha256":
      throw new PolicyFault(
        `${where}: after sha256: come the 32 bytes in base64, 44 characters with the = at their end`,
      );
    case "dns":
      return Object.freeze({ kind, value: exactName(value, where) });
    case "email": {
      const at = value.lastIndexOf("@");
      if (!/^[!-~]{1,320}$/.test(value) || at < 1) {
        throw new PolicyFault(`${where}: after email: comes one address, as in email:name@example.com`);
      }
      // RFC 5280 section 7.5: what is before the @ is compared as it is, what is behind it as a host name.
      return Object.freeze({ kind, value: `${value.slice(0, at)}@${exactName(value.slice(at + 1), where)}` });
    }
    case "uri":
      if (!/^[A-Za-z][A-Za-z0-9+.-]{0,31}:[!-~]{1,1000}$/.test(value)) {
        throw new PolicyFault(
          `${where}: after uri: comes a whole URI without spaces, as in uri:spiffe://example.org/laptop`,
        );
      }
      return Object.freeze({ kind, value });
    default:
      throw new PolicyFault(
        `${where}: write sha256:BASE64 of the public key, dns:NAME, email:ADDRESS or uri:URI`,
      );
  }
}

/** The one text of a match, which is its key in {@link Users.byCertificate}; {@link parseCertificateMatch} reads it back. */
export function formatCertificateMatch(match: CertificateMatch): string {
  return match.kind === "spki" ? `sha256:${match.sha256}` : `${match.kind}:${match.value}`;
}

function exactName(text: string, where: string): string {
  if (text.includes("*"))
    throw new PolicyFault(`${where}: a user is one exact name; * would let in who happens to match`);
  let name: string;
  try {
    name = canonicalHost(text);
  } catch (error) {
    throw new PolicyFault(`${where}: ${(error as Error).message}`);
  }
  if (parseAddress(name) !== undefined) throw new PolicyFault(`${where}: must be a name, not an address`);
  return name;
}
