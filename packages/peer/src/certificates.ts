import { createHash, X509Certificate } from "node:crypto";
import { CulvertError } from "@culvert/protocol";

/** PEM (RFC 7468), as text or as the bytes of a file. */
export type Pem = string | Buffer;

/**
 * The certificates of a PEM text, in its order; whatever else it holds is passed over.
 * @param path What holds it, for messages: `tls.cert`.
 * @throws CulvertError `invalid_option` when there is none, or one that cannot be read.
 */
export function readCertificates(pem: unknown, path: string): [X509Certificate, ...X509Certificate[]] {
  const text = textOf(pem, path);
  const blocks = text.match(/-----BEGIN (X509 )?CERTIFICATE-----[^-]*-----END (X509 )?CERTIFICATE-----/g);
  const [first, ...rest] = (blocks ?? []).map((block, index) => readOne(block, path, index));
  if (first !== undefined) return [first, ...rest];
  throw new CulvertError(
    "invalid_option",
    text.includes("PRIVATE KEY-----")
      ? `${path} holds a private key and no certificate: were certificate and key mixed up?`
      : `${path} holds no certificate: it must be PEM, with a line -----BEGIN CERTIFICATE-----`,
  );
}

/** @throws CulvertError `invalid_option` when it is neither text nor bytes, or empty. */
export function textOf(pem: unknown, path: string): string {
  const text = Buffer.isBuffer(pem) ? pem.toString("latin1") : pem;
  if (typeof text !== "string") {
    throw new CulvertError("invalid_option", `${path} must be PEM, as a string or a Buffer`);
  }
  if (text.trim() === "") throw new CulvertError("invalid_option", `${path} is empty`);
  return text;
}

function readOne(block: string, path: string, index: number): X509Certificate {
  try {
    return new X509Certificate(block);
  } catch (cause) {
    const where = `certificate ${index + 1} of ${path}`;
    throw new CulvertError("invalid_option", `${where} cannot be read: is the file damaged?`, { cause });
  }
}

/**
 * SHA-256 over the certificate's SubjectPublicKeyInfo, base64: what names its key, whoever signs it (RFC 7469 section 2.4).
 */
export function spkiSha256(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(spki).digest("base64");
}

/** What is wrong with the certificate at the time `now`, ms since the epoch; undefined when it is good then. */
export function dateFault(
  certificate: X509Certificate,
  now: number,
): "expired" | "not_yet_valid" | undefined {
  if (!(certificate.validFromDate.getTime() <= now)) return "not_yet_valid";
  return now <= certificate.validToDate.getTime() ? undefined : "expired";
}
