import { KeyObject, webcrypto, X509Certificate } from "node:crypto";
import "./no-metadata.ts";
import * as x509 from "@peculiar/x509";

type Signing = webcrypto.EcdsaParams;

const EC: webcrypto.EcKeyGenParams & Signing = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 86_400_000;

/** id-kp-serverAuth and id-kp-clientAuth (RFC 5280 section 4.2.1.12). */
export const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
export const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/** Kind and value of a subject alternative name. */
export type AltName = readonly [kind: "dns" | "ip" | "email" | "url", value: string];

/** What a certificate is to say. Days count from now. */
export interface Wanted {
  readonly commonName?: string;
  /** Default `DNS:localhost, IP Address:127.0.0.1, IP Address:::1`. */
  readonly names?: readonly AltName[];
  readonly usage?: readonly string[];
  readonly fromDay?: number;
  readonly toDay?: number;
  /** Default EC P-256. */
  readonly keys?: webcrypto.CryptoKeyPair;
}

/** A certificate with its key, PEM; ready to be given as the option `tls`. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

/** The certificate authority of a test: issues certificates with whatever is to be right or wrong about them. */
export class Authority {
  readonly certificate: x509.X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;

  private constructor(certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.certificate = certificate;
    this.#keys = keys;
  }

  static async create(commonName = "test CA"): Promise<Authority> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      ...commonParts({ commonName }),
      name: `CN=${commonName}`,
      keys,
      extensions: caExtensions(),
    });
    return new Authority(certificate, keys);
  }

  /** Its certificate, PEM: what is given as `ca`. */
  get pem(): string {
    return this.certificate.toString("pem");
  }

  /** An authority below this one. */
  async intermediate(commonName = "test intermediate"): Promise<Authority> {
    const keys = await newKeys();
    return new Authority(
      await this.#sign({ commonName }, `CN=${commonName}`, keys.publicKey, caExtensions()),
      keys,
    );
  }

  /** For `localhost` and the addresses of loopback, for servers and clients, from yesterday to tomorrow; but for what is given. */
  async issue(wanted: Wanted = {}): Promise<Issued> {
    const keys = wanted.keys ?? (await newKeys());
    const certificate = await this.#sign(
      wanted,
      `CN=${wanted.commonName ?? "test"}`,
      keys.publicKey,
      leafExtensions(wanted),
    );
    return { cert: certificate.toString("pem"), key: pemOf(keys) };
  }

  #sign(
    wanted: Wanted,
    subject: string,
    publicKey: webcrypto.CryptoKey,
    extensions: x509.Extension[],
  ): Promise<x509.X509Certificate> {
    return x509.X509CertificateGenerator.create({
      ...commonParts(wanted),
      subject,
      issuer: this.certificate.subject,
      publicKey,
      signingKey: this.#keys.privateKey,
      extensions,
    });
  }
}

/** A certificate that nobody but itself vouches for. */
export async function selfSigned(wanted: Wanted = {}): Promise<Issued> {
  const keys = wanted.keys ?? (await newKeys());
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...commonParts(wanted),
    name: `CN=${wanted.commonName ?? "test"}`,
    keys,
    extensions: leafExtensions(wanted),
  });
  return { cert: certificate.toString("pem"), key: pemOf(keys) };
}

/** The pin of a certificate, made in another way than the product makes it. */
export async function pinOf({ cert }: Pick<Issued, "cert">): Promise<string> {
  const spki = new x509.X509Certificate(cert).publicKey.rawData;
  return `sha256/${Buffer.from(await webcrypto.subtle.digest("SHA-256", spki)).toString("base64")}`;
}

export function parsed({ cert }: Pick<Issued, "cert">): X509Certificate {
  return new X509Certificate(cert);
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(EC, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
}

/** RSA keys, for those that are too short. */
export async function rsaKeys(bits: number): Promise<webcrypto.CryptoKeyPair> {
  const rsa = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", publicExponent: new Uint8Array([1, 0, 1]) };
  return await webcrypto.subtle.generateKey({ ...rsa, modulusLength: bits }, true, ["sign", "verify"]);
}

function pemOf({ privateKey }: webcrypto.CryptoKeyPair): string {
  return KeyObject.from(privateKey).export({ type: "pkcs8", format: "pem" }).toString();
}

function commonParts({ fromDay = -1, toDay = 1, keys }: Wanted): {
  notBefore: Date;
  notAfter: Date;
  signingAlgorithm: Signing;
} {
  const algorithm = keys?.privateKey.algorithm ?? EC;
  return {
    notBefore: new Date(Date.now() + fromDay * DAY_MS),
    notAfter: new Date(Date.now() + toDay * DAY_MS),
    signingAlgorithm: { hash: "SHA-256", ...algorithm } as Signing,
  };
}

function caExtensions(): x509.Extension[] {
  const usage = x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign;
  return [
    new x509.BasicConstraintsExtension(true, undefined, true),
    new x509.KeyUsagesExtension(usage, true),
  ];
}

const LOCAL: readonly AltName[] = [
  ["dns", "localhost"],
  ["ip", "127.0.0.1"],
  ["ip", "::1"],
];

function leafExtensions({ names = LOCAL, usage = [SERVER_AUTH, CLIENT_AUTH] }: Wanted): x509.Extension[] {
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    ...(usage.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension([...usage])]),
    ...(names.length === 0
      ? []
      : [new x509.SubjectAlternativeNameExtension(names.map(([type, value]) => ({ type, value })))]),
  ];
}
