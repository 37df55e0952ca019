import type { X509Certificate } from "node:crypto";
import type { SecureContext, SecureContextOptions } from "node:tls";
import {
  checkKeyPair,
  type KeyPair,
  type Pem,
  readCertificates,
  secureContextOf,
  TLS_RULES,
} from "@culvert/peer";
import { CulvertError } from "@culvert/protocol";

/** The certificate for the name that a client asks for (SNI, RFC 6066 section 3); undefined: the default one. */
export type SniCallback = (
  serverName: string,
) => SecureContext | undefined | Promise<SecureContext | undefined>;

/** TLS of a server's own port. Every certificate and key is the content, not the name of a file. */
export interface ServerTlsOptions extends KeyPair {
  /**
   * The CAs whose client certificates are taken, PEM. When given, a client without such a certificate does not get through
   * TLS. Default none: no client certificate is asked for.
   */
  readonly clientCa?: Pem | undefined;
  /**
   * Chooses the certificate by the name that the client asks for; make contexts with `tls.createSecureContext`. A throw, a
   * rejection or anything else that is no context fails that connection only; so does no answer within `tlsHandshakeTimeoutMs`.
   * Not together with `clientCa`: client certificates would be judged by the CAs of the context that it returns.
   */
  readonly sniCallback?: SniCallback | undefined;
}

const KEYS: readonly (keyof ServerTlsOptions)[] = ["cert", "key", "passphrase", "clientCa", "sniCallback"];

/** Options that hold, as the TLS library wants them. */
export interface ServerTls {
  readonly context: SecureContextOptions;
  readonly certificate: X509Certificate;
  readonly demandsClientCertificate: boolean;
  readonly sniCallback: SniCallback | undefined;
}

/**
 * Checks all of it, as far as that is possible without a client.
 * @throws CulvertError `invalid_option`, naming what is wrong and what to do; never anything of the key.
 */
export function resolveServerTls(given: ServerTlsOptions): ServerTls {
  checkKeys(given);
  const { cert, key, passphrase, clientCa, sniCallback } = given;
  if (cert === undefined) throw invalid("tls.cert is missing: a key without its certificate is of no use");
  if (key === undefined) throw invalid("tls.key is missing: give the private key of the certificate");
  const certificate = checkKeyPair({ cert, key, passphrase }, "tls.");
  if (clientCa !== undefined) readCertificates(clientCa, "tls.clientCa");
  if (sniCallback !== undefined && typeof sniCallback !== "function") {
    throw invalid("tls.sniCallback must be a function");
  }
  if (clientCa !== undefined && sniCallback !== undefined) {
    throw invalid(
      "tls.clientCa and tls.sniCallback cannot be used together: client certificates would be judged by the CAs of the " +
        "context that sniCallback returns. Put all names into one certificate instead",
    );
  }
  const context: SecureContextOptions = {
    ...TLS_RULES,
    cert,
    key,
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(clientCa === undefined ? {} : { ca: clientCa }),
  };
  secureContextOf(context, "tls");
  return Object.freeze({
    context,
    certificate,
    demandsClientCertificate: clientCa !== undefined,
    sniCallback,
  });
}

function checkKeys(given: unknown): void {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw invalid("tls must be an object with cert and key");
  }
  for (const key of Object.keys(given)) {
    if (!(KEYS as readonly string[]).includes(key)) {
      throw invalid(`there is no option tls.${key}; there are: ${KEYS.join(", ")}`);
    }
  }
}

function invalid(sentence: string): CulvertError {
  return new CulvertError("invalid_option", sentence);
}
