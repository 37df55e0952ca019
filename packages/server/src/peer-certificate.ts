import type { Duplex } from "node:stream";

/** What a client's certificate says, when TLS has verified it for the authentication of a client. */
export interface PeerCertificate {
  /** SHA-256 of its public key (SPKI, DER), base64. */
  readonly spkiSha256: string;
  /** Its subject alternative names. */
  readonly dns: readonly string[];
  readonly email: readonly string[];
  readonly uri: readonly string[];
  readonly validFrom: Date;
  readonly validTo: Date;
}

/** Undefined without TLS, without a certificate, and for one that did not verify. */
export function peerCertificateOf(_socket: Duplex): PeerCertificate | undefined {
  return undefined;
}
