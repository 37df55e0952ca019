import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { dateFault, spkiSha256 } from "@culvert/peer";
import { CulvertError } from "@culvert/protocol";
import type { ClientTls } from "./client-tls.ts";

/** What is known of a server when its certificate is judged. */
export interface JudgedServer {
  /** For messages: its URL. */
  readonly where: string;
  /** The name that it must have. */
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * Why a server must not be talked to, after its TLS handshake and before anything else; undefined when it may be. Whatever is
 * not known to be right is wrong.
 */
export function trustFault(
  socket: TLSSocket,
  tls: ClientTls,
  server: JudgedServer,
): CulvertError | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return untrusted(server, "it shows no certificate");
  if (tls.pins.size > 0 && !tls.pins.has(spkiSha256(certificate))) {
    return untrusted(
      server,
      `the key of its certificate is not a pinned one but ${shownPin(certificate)}: if its operator says that this is the ` +
        "right one, pin it (--pin, tls.pins)",
    );
  }
  if (tls.trustsPinsOnly) {
    const fault = dateFault(certificate, server.now);
    return fault === undefined ? undefined : untrusted(server, dateSentence(certificate, fault, server.now));
  }
  if (socket.authorized) return undefined;
  return untrusted(server, sentenceOf(String(socket.authorizationError), certificate, server));
}

function untrusted({ where }: JudgedServer, sentence: string): CulvertError {
  return new CulvertError("untrusted_server", `${where}: ${sentence}`);
}

/** @param code Of OpenSSL's verification, as Node names it. */
function sentenceOf(code: string, certificate: X509Certificate, { name, now }: JudgedServer): string {
  switch (code) {
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
      return `its certificate is self-signed, which proves nothing: ${trustItBy(certificate)}`;
    case "SELF_SIGNED_CERT_IN_CHAIN":
      return `its certificate was issued by a CA that is not trusted here: ${trustItBy(certificate)}`;
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return (
        `the issuer of its certificate, ${nameIn(certificate.issuer)}, is not known here. If that is an intermediate CA, the ` +
        `server does not send its certificate, and should; otherwise ${trustItBy(certificate)}`
      );
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return (
        `its certificate is not for ${name} but for ${visible(certificate.subjectAltName ?? "no name at all")}: use one of ` +
        "these names in the URL, or say which one it must have (tls.serverName)"
      );
    case "CERT_HAS_EXPIRED":
    case "CERT_NOT_YET_VALID": {
      const fault = dateFault(certificate, now);
      if (fault !== undefined) return dateSentence(certificate, fault, now);
      const what = code === "CERT_HAS_EXPIRED" ? "has expired" : "is not valid yet";
      return `the certificate of one of its issuers ${what} (the clock here says ${dateOf(now)})`;
    }
    case "INVALID_PURPOSE":
      return "its certificate is not one for servers: its operator must get another one (serverAuth)";
    default: {
      const { publicKey } = certificate;
      const bits = publicKey.asymmetricKeyDetails?.modulusLength;
      if (bits !== undefined && bits < 2048)
        return `the key of its certificate is too weak: ${publicKey.asymmetricKeyType} of ${bits} bits`;
      return `its certificate cannot be verified (${code})`;
    }
  }
}

function dateSentence(certificate: X509Certificate, fault: "expired" | "not_yet_valid", now: number): string {
  const clock = `(the clock here says ${dateOf(now)}; is it right?)`;
  return fault === "expired"
    ? `its certificate expired on ${dateOf(certificate.validToDate.getTime())} ${clock}`
    : `its certificate is not valid before ${dateOf(certificate.validFromDate.getTime())} ${clock}`;
}

function trustItBy(certificate: X509Certificate): string {
  return (
    "give the CA's certificate (--ca, tls.ca) or the pin of the server's key (--pin, tls.pins). The server shows " +
    `${shownPin(certificate)}: ask its operator whether that is the right one`
  );
}

function shownPin(certificate: X509Certificate): string {
  return `sha256/${spkiSha256(certificate)}`;
}

/** The common name, or all of it. */
function nameIn(distinguished: string): string {
  const common = /^CN=(.*)$/m.exec(distinguished)?.[1];
  return JSON.stringify(visible(common ?? distinguished));
}

/** What a stranger wrote, for a message: short, and without anything that could play tricks on a terminal. */
function visible(text: string): string {
  const safe = text.replace(/[^\x20-\x7e]/g, "?");
  return safe.length > MOST_SHOWN ? `${safe.slice(0, MOST_SHOWN)}…` : safe;
}

const MOST_SHOWN = 200;

function dateOf(time: number): string {
  return Number.isNaN(time) ? "an unreadable date" : new Date(time).toISOString().replace(/\.\d+Z$/, "Z");
}
