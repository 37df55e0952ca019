import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  type webcrypto,
  X509Certificate,
} from "node:crypto";
import { spkiSha256 } from "@culvert/peer";
import type { JsonGeneralName } from "@peculiar/x509";
import { x509 } from "./x509-library.ts";

/** A certificate and its key, PEM. */
export interface KeyedCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** A name that a certificate holds, as its subjectAltName has it (RFC 5280 section 4.2.1.6). */
export interface SubjectName {
  readonly type: "dns" | "ip" | "email" | "url";
  readonly value: string;
}

export interface CertificateRequest {
  /** Who holds it: a server that clients dial, or a client that shows it to a server. */
  readonly holder: "server" | "client";
  /** For people only; what counts are `names`. */
  readonly commonName: string;
  readonly names: readonly SubjectName[];
  readonly days: number;
  /** A key to keep, so that pins stay true. Default: a new one. */
  readonly key?: string | undefined;
}

const DAY_MS = 86_400_000;
/** Clocks of two machines differ: a certificate that is good from now on would be refused by whose clock is behind. */
const EARLIER_MS = 3_600_000;
const ECDSA = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" } as const;
/** RFC 5280 appendix A.1, ub-common-name. */
const MAX_COMMON_NAME = 64;

/**
 * A certificate authority of one's own: P-256, signs no further authorities.
 * @param now Milliseconds since the epoch.
 */
export async function newAuthority(name: string, days: number, now: number): Promise<KeyedCertificate> {
  const lib = await x509();
  const key = newKey();
  const keys = cryptoKeys(key);
  const certificate = await lib.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ CN: [name] }],
    notBefore: new Date(now - EARLIER_MS),
    notAfter: new Date(now + days * DAY_MS),
    signingAlgorithm: SIGNATURE,
    keys,
    extensions: [
      new lib.BasicConstraintsExtension(true, 0, true),
      new lib.KeyUsagesExtension(lib.KeyUsageFlags.keyCertSign | lib.KeyUsageFlags.cRLSign, true),
      await lib.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: `${certificate.toString("pem")}\n`, key: pemOf(key) };
}

/**
 * A certificate that `authority` signs. It ends no later than the authority's own.
 * @param now Milliseconds since the epoch.
 */
export async function issueCertificate(
  authority: KeyedCertificate,
  request: CertificateRequest,
  now: number,
): Promise<KeyedCertificate> {
  const lib = await x509();
  const issuer = new lib.X509Certificate(authority.certificate);
  const key = request.key === undefined ? newKey() : createPrivateKey(request.key);
  const { publicKey } = cryptoKeys(key);
  const use = request.holder === "server" ? "serverAuth" : "clientAuth";
  const certificate = await lib.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: [{ CN: [request.commonName.slice(0, MAX_COMMON_NAME)] }],
    issuer: issuer.subjectName,
    notBefore: new Date(now - EARLIER_MS),
    notAfter: new Date(Math.min(now + request.days * DAY_MS, issuer.notAfter.getTime())),
    signingAlgorithm: SIGNATURE,
    publicKey,
    signingKey: cryptoKeys(createPrivateKey(authority.key)).privateKey,
    extensions: [
      new lib.BasicConstraintsExtension(false, undefined, true),
      new lib.KeyUsagesExtension(lib.KeyUsageFlags.digitalSignature, true),
      new lib.ExtendedKeyUsageExtension([lib.ExtendedKeyUsage[use]]),
      new lib.SubjectAlternativeNameExtension(request.names.map((name): JsonGeneralName => ({ ...name }))),
      await lib.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await lib.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return { certificate: `${certificate.toString("pem")}\n`, key: pemOf(key) };
}

/**
 * Why this pair cannot sign certificates; undefined when it can.
 * @param now Milliseconds since the epoch.
 */
export function faultOfAuthority({ certificate, key }: KeyedCertificate, now: number): string | undefined {
  let parsed: X509Certificate;
  let privateKey: KeyObject;
  try {
    parsed = new X509Certificate(certificate);
    privateKey = createPrivateKey(key);
  } catch {
    return "this is not a certificate and its unencrypted key in PEM form";
  }
  if (!parsed.ca) return "this certificate is not that of an authority";
  if (!parsed.checkPrivateKey(privateKey)) return "the key does not belong to the certificate";
  if (!isUsableKey(privateKey)) return "the key is not one of P-256, as culvert cert ca makes it";
  if (parsed.validToDate.getTime() <= now) return `it expired on ${day(parsed.validToDate)}`;
  return undefined;
}

/** Can {@link issueCertificate} use this key? */
export function isUsableKey(key: KeyObject): boolean {
  return key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === "prime256v1";
}

/** SHA-256 over the public key with its algorithm (SPKI, as in RFC 7469 section 2.4), base64. */
export function spkiHash(certificate: string): string {
  return spkiSha256(new X509Certificate(certificate));
}

/** The last day of a certificate, as in `2027-11-22`. */
export function lastDay(certificate: string): string {
  return day(new X509Certificate(certificate).validToDate);
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function newKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: ECDSA.namedCurve }).privateKey;
}

/** Positive, and 127 random bits (RFC 5280 section 4.1.2.2 allows 20 octets). */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString("hex");
}

function pemOf(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }) as string;
}

function cryptoKeys(key: KeyObject): webcrypto.CryptoKeyPair {
  return {
    privateKey: key.toCryptoKey(ECDSA, true, ["sign"]),
    publicKey: createPublicKey(key).toCryptoKey(ECDSA, true, ["verify"]),
  };
}
