import type { X509Certificate } from "node:crypto";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { dateFault, spkiSha256 } from "@culvert/peer";

/** What a client's certificate says, of one that can be trusted to say it. */
export interface PeerCertificate {
  /** SHA-256 over its SubjectPublicKeyInfo, base64. */
  readonly spkiSha256: string;
  /** Names of its subjectAltName by kind, exactly as they stand there; host names, those of addresses too, in lower case. */
  readonly dns: readonly string[];
  readonly email: readonly string[];
  readonly uri: readonly string[];
  readonly validFrom: Date;
  readonly validTo: Date;
}

/** id-kp-clientAuth (RFC 5280 section 4.2.1.12). */
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/**
 * The certificate that the client at the other end of `socket` proved to have. Undefined when there is none, when the server did
 * not verify it against CAs of its own choice, when it is outside its dates (TLS may have been resumed since), or when it is not
 * meant for clients: one with an extended key usage must name clientAuth there. The common name is never looked at: it is free
 * text (RFC 9525 section 2).
 */
export function peerCertificateOf(socket: Duplex): PeerCertificate | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const certificate = socket.getPeerX509Certificate();
  return certificate === undefined ? undefined : readPeerCertificate(certificate, Date.now());
}

/** @param now Milliseconds since the epoch. */
export function readPeerCertificate(certificate: X509Certificate, now: number): PeerCertificate | undefined {
  if (dateFault(certificate, now) !== undefined) return undefined;
  const usage = certificate.keyUsage as readonly string[] | undefined;
  if (usage !== undefined && !usage.includes(CLIENT_AUTH)) return undefined;
  const names = subjectAltNames(certificate.subjectAltName ?? "");
  if (names === undefined) return undefined;
  const of = (kind: string): string[] => names.filter((name) => name.kind === kind).map(({ value }) => value);
  return {
    spkiSha256: spkiSha256(certificate),
    dns: of("DNS").map((name) => name.toLowerCase()),
    // RFC 5280 section 7.5: what is before the @ is compared as it is, what is behind it as a host name.
    email: of("email").map((address) => address.replace(/@[^@]*$/, (host) => host.toLowerCase())),
    uri: of("URI"),
    validFrom: certificate.validFromDate,
    validTo: certificate.validToDate,
  };
}

interface AltName {
  readonly kind: string;
  readonly value: string;
}

/**
 * One name: a value without quotes has no comma and no quote in it; any other one Node writes as a JSON string (since
 * CVE-2021-44532: before, `DNS:"a, DNS:b"` was two names).
 */
const ALT_NAME = /([A-Za-z][A-Za-z ]*):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

/**
 * The names of an X509Certificate's `subjectAltName`. Undefined if any of the text is not as it must be: then nothing of it is
 * believed. A name that is not visible ASCII (a NUL, a space, another script) is nobody's and is left out.
 */
export function subjectAltNames(text: string): AltName[] | undefined {
  const names: AltName[] = [];
  ALT_NAME.lastIndex = 0;
  for (let at = 0; at < text.length; at = ALT_NAME.lastIndex) {
    const [, kind, written] = ALT_NAME.exec(text) ?? [];
    if (kind === undefined || written === undefined) return undefined;
    const value = written.startsWith('"') ? unquoted(written) : written;
    if (value === undefined) return undefined;
    if (/^[\x21-\x7e]+$/.test(value)) names.push({ kind, value });
  }
  return names;
}

function unquoted(text: string): string | undefined {
  try {
    return String(JSON.parse(text));
  } catch {
    return undefined;
  }
}
