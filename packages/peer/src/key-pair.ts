import { constants, createPrivateKey, type KeyObject, type X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import { CulvertError } from "@culvert/protocol";
import { type Pem, readCertificates, textOf } from "./certificates.ts";
import { codeOf } from "./system-error.ts";

/** A certificate and what proves that it is ours. */
export interface KeyPair {
  /** The certificate first, behind it the intermediate ones up to the CA. */
  readonly cert: Pem;
  readonly key: Pem;
  /** Of an encrypted key. */
  readonly passphrase?: string | undefined;
}

/**
 * What either end of a tunnel speaks. TLS 1.2 at least; below 1.3 only suites with forward secrecy and authenticated
 * encryption, and without finite-field Diffie-Hellman: those that RFC 9325 section 4.2 recommends, and ChaCha20 for machines
 * without AES in hardware. No renegotiation (RFC 9325 section 3.5), which costs a server much and a client little.
 */
export const TLS_RULES: Readonly<SecureContextOptions> = Object.freeze({
  minVersion: "TLSv1.2",
  ciphers: [
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
  ].join(":"),
  // All are sound, so whoever is slower at some of them may choose: the client.
  honorCipherOrder: false,
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
});

/**
 * Checks that a certificate and a key can be used together. Returns the certificate.
 * @param path What stands before the names in messages: `tls.`.
 * @throws CulvertError `invalid_option`, naming what is wrong and what to do; never anything of the key.
 */
export function checkKeyPair({ cert, key, passphrase }: KeyPair, path: string): X509Certificate {
  const chain = readCertificates(cert, `${path}cert`);
  if (passphrase !== undefined && typeof passphrase !== "string") {
    throw invalid(`${path}passphrase must be a string`);
  }
  const privateKey = readKey(key, passphrase, path);
  const [own, ...issuers] = chain;
  if (own.checkPrivateKey(privateKey)) return own;
  if (issuers.some((issuer) => issuer.checkPrivateKey(privateKey))) {
    throw invalid(`${path}cert must begin with the certificate of ${path}key; its issuers come behind it`);
  }
  throw invalid(`${path}key is not the key of the certificate in ${path}cert (${nameOf(own)})`);
}

/**
 * A context with these options and {@link TLS_RULES}.
 * @throws CulvertError `invalid_option` for what the TLS library does not take, as a key that is too short.
 */
export function secureContextOf(options: SecureContextOptions, path: string): SecureContext {
  try {
    return createSecureContext({ ...TLS_RULES, ...options });
  } catch (cause) {
    // Its codes and reasons are fixed texts of the library, without anything of the key.
    const code = codeOf(cause);
    const what = WEAK.has(code)
      ? "the key or the signature is too weak: make one with RSA of 2048 bits or more, or EC P-256, and SHA-256"
      : `the TLS library does not take it (${code})`;
    throw new CulvertError("invalid_option", `${path}: ${what}`, { cause });
  }
}

const WEAK: ReadonlySet<string> = new Set([
  "ERR_SSL_EE_KEY_TOO_SMALL",
  "ERR_SSL_CA_KEY_TOO_SMALL",
  "ERR_SSL_CA_MD_TOO_WEAK",
  "ERR_SSL_DH_KEY_TOO_SMALL",
]);

function readKey(key: unknown, passphrase: string | undefined, path: string): KeyObject {
  const text = textOf(key, `${path}key`);
  try {
    return createPrivateKey({ key: text, format: "pem", passphrase: passphrase ?? "" });
  } catch (error) {
    // No cause: who knows what it shows.
    throw invalid(keyFault(codeOf(error), text, passphrase, path));
  }
}

function keyFault(code: string, text: string, passphrase: string | undefined, path: string): string {
  if (/ENCRYPTED/.test(text)) {
    return passphrase === undefined
      ? `${path}key is encrypted: give ${path}passphrase`
      : `${path}passphrase does not open ${path}key`;
  }
  if (text.includes("CERTIFICATE-----") && !text.includes("PRIVATE KEY-----")) {
    return `${path}key holds a certificate and no key: were certificate and key mixed up?`;
  }
  return `${path}key is not a private key in PEM, with a line -----BEGIN PRIVATE KEY----- (${code})`;
}

/** For messages: the subject in one line. */
function nameOf(certificate: X509Certificate): string {
  return JSON.stringify(certificate.subject?.replaceAll("\n", ", ") ?? "without a subject");
}

function invalid(sentence: string): CulvertError {
  return new CulvertError("invalid_option", sentence);
}
