import type { SecureContext } from "node:tls";
import { checkKeyPair, type Pem, readCertificates, secureContextOf } from "@culvert/peer";
import { invalidOption, OptionReader } from "./option-reader.ts";

/** How `wss:` servers are trusted, and what is shown to them. Every certificate and key is the content, not the name of a file. */
export interface ClientTlsOptions {
  /** The CAs that may have issued the server's certificate, PEM. Default: those that Node knows. */
  readonly ca?: Pem | readonly Pem[] | undefined;
  /**
   * Keys that the server may have, each `sha256/` and the base64 of SHA-256 over the SubjectPublicKeyInfo of its certificate.
   * Without `ca` a pinned key is trusted whoever issued its certificate, and for whatever name; the dates count. With `ca` both
   * must hold. Default none.
   */
  readonly pins?: readonly string[] | undefined;
  /** The client's own certificate, for a server that demands one: PEM, intermediate ones behind it. Needs `key`. */
  readonly cert?: Pem | undefined;
  readonly key?: Pem | undefined;
  /** Of an encrypted key. */
  readonly passphrase?: string | undefined;
  /** The name that the certificate must have and that the server is asked for (SNI). Default: the host of the URL. */
  readonly serverName?: string | undefined;
}

/** The same, checked. */
export interface ClientTls {
  readonly context: SecureContext;
  /** As `pins`, without `sha256/`. */
  readonly pins: ReadonlySet<string>;
  /** A pin alone is enough. */
  readonly trustsPinsOnly: boolean;
  readonly hasCertificate: boolean;
  readonly serverName: string | undefined;
}

const KEYS: readonly (keyof ClientTlsOptions)[] = ["ca", "pins", "cert", "key", "passphrase", "serverName"];

/** @throws CulvertError `invalid_option`, naming what is wrong and what to do; never anything of the key. */
export function resolveClientTls(given: unknown): ClientTls {
  const read = new OptionReader(given, "tls.", KEYS);
  const ca = resolveCa(read);
  const pins = resolvePins(read);
  const own = resolveOwn(read);
  const context = secureContextOf({ ...(ca === undefined ? {} : { ca }), ...own }, "tls");
  const serverName = read.optionalText("serverName", 1, 253);
  if (serverName !== undefined && !/^[A-Za-z0-9_.:-]+$/.test(serverName)) {
    throw invalidOption("tls.serverName must be a host name or an IP address, without a port");
  }
  return Object.freeze({
    context,
    pins,
    trustsPinsOnly: pins.size > 0 && ca === undefined,
    hasCertificate: own !== undefined,
    serverName,
  });
}

let byDefault: ClientTls | undefined;

/** When nothing is given: the CAs that Node knows. Made when it is needed, as few clients of `ws:` servers ever do. */
export function defaultClientTls(): ClientTls {
  byDefault ??= resolveClientTls({});
  return byDefault;
}

function resolveCa(read: OptionReader): string[] | undefined {
  const ca = read.get("ca");
  if (ca === undefined) return undefined;
  const list: readonly unknown[] = Array.isArray(ca) ? ca : [ca];
  if (list.length === 0) throw invalidOption("tls.ca must have at least one certificate");
  return list.flatMap((pem, index) =>
    readCertificates(pem, Array.isArray(ca) ? `tls.ca[${index}]` : "tls.ca").map(String),
  );
}

function resolvePins(read: OptionReader): ReadonlySet<string> {
  const pins = read.get("pins");
  if (pins === undefined) return new Set();
  if (!Array.isArray(pins)) throw read.fault("pins", "an array", pins);
  // An empty list of what is trusted must not pass for "no list".
  if (pins.length === 0) throw invalidOption("tls.pins must have at least one pin");
  return new Set(pins.map((pin, index) => pinOf(pin, `tls.pins[${index}]`)));
}

function pinOf(pin: unknown, path: string): string {
  const [, hash] = /^sha256\/([A-Za-z0-9+/]{43}=)$/.exec(typeof pin === "string" ? pin : "") ?? [];
  if (hash === undefined || Buffer.from(hash, "base64").toString("base64") !== hash) {
    throw invalidOption(`${path} must be sha256/ and 44 characters of base64, the hash of a public key`);
  }
  return hash;
}

function resolveOwn(read: OptionReader): { cert: Pem; key: Pem; passphrase?: string } | undefined {
  const [cert, key, passphrase] = [read.get("cert"), read.get("key"), read.get("passphrase")];
  if (cert === undefined && key === undefined && passphrase === undefined) return undefined;
  if (cert === undefined)
    throw invalidOption("tls.cert is missing: a key without its certificate is of no use");
  if (key === undefined) throw invalidOption("tls.key is missing: give the private key of the certificate");
  const pair = {
    cert: cert as Pem,
    key: key as Pem,
    ...(passphrase === undefined ? {} : { passphrase: passphrase as string }),
  };
  checkKeyPair(pair, "tls.");
  return pair;
}
