import type { Client, ClientTlsOptions } from "@culvert/client";
import type { Option } from "commander";
import { fingerprintOf } from "./fingerprint.ts";
import { repeatedFlag, textFlag } from "./flags.ts";
import type { LivePart } from "./live-files.ts";
import { readCertificateFile, readTlsKeyFile } from "./pem-files.ts";
import { isPlain, isPlainAndRemote } from "./server-urls.ts";
import { shown, UsageError } from "./usage-error.ts";

/** The flags of a client about TLS. */
export interface ClientTlsFlags {
  readonly ca?: string;
  readonly pin?: readonly string[];
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
}

/** How servers are trusted, and how it is read again. */
export interface ClientFiles {
  readonly tls: ClientTlsOptions | undefined;
  /** @param explain Says in flags what the client finds wrong. */
  readonly parts: (client: Client, explain: (act: () => void) => void) => LivePart[];
}

export function clientTlsFlags(): Option[] {
  return [
    textFlag("--ca <file>", "trust servers whose certificates these authorities issued, PEM", {
      none: "public ones",
    }),
    repeatedFlag(
      "--pin <hash>",
      "trust a server whose key has this hash, sha256/…, alone or besides --ca",
      "none",
      checkPin,
    ),
    textFlag("--server-name <name>", "the name that its certificate must have", { none: "the URL's host" }),
    textFlag("--cert <file>", "certificate of the client, if the server demands one, PEM", { none: "none" }),
    textFlag("--key <file>", "its key, which only its owner may read", { none: "none" }),
  ];
}

/** @throws UsageError */
export function readClientFiles(flags: ClientTlsFlags): ClientFiles {
  const { ca, cert, key } = flags;
  const given = [ca, flags.pin, cert, key, flags.serverName].some((value) => value !== undefined);
  const atStart = given ? readTls(flags) : undefined;
  return {
    tls: atStart?.options,
    parts: (client, explain) => {
      const files = [ca, cert, key].filter((path) => path !== undefined);
      if (atStart === undefined || files.length === 0) return [];
      const read: LivePart["read"] = () => {
        const { options, fingerprint } = readTls(flags);
        return { fingerprint, apply: () => explain(() => client.setTls(options)) };
      };
      return [{ what: "certificates", files, inForce: atStart.fingerprint, read }];
    },
  };
}

function readTls(flags: ClientTlsFlags): {
  readonly options: ClientTlsOptions;
  readonly fingerprint: string;
} {
  if (flags.cert === undefined && flags.key !== undefined) {
    throw new UsageError(
      "--key is the key of the certificate of --cert, which is missing; a key that logs in is given by --login-key.",
    );
  }
  if (flags.cert !== undefined && flags.key === undefined) {
    throw new UsageError("--key is missing: give the key of the certificate.");
  }
  const ca = flags.ca === undefined ? undefined : readCertificateFile(flags.ca, "--ca");
  const cert = flags.cert === undefined ? undefined : readCertificateFile(flags.cert, "--cert");
  const key = flags.key === undefined ? undefined : readTlsKeyFile(flags.key, "--key");
  const options = { ca, pins: flags.pin, cert, key, serverName: flags.serverName };
  const present = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return { options: present, fingerprint: fingerprintOf([ca, cert, key]) };
}

/**
 * Whoever gives an authority or a pin believes that the server is checked by it. One URL beyond this machine that is not encrypted
 * is enough to undo that: who can cut the way to the others has the client, and its token, come there.
 * @throws UsageError when nothing is encrypted on the way to one of these URLs beyond this machine, or to all of them.
 */
export function checkEncrypted<T>(tls: T, urls: readonly string[]): T {
  if (!urls.every(isPlain) && !urls.some(isPlainAndRemote)) return tls;
  throw new UsageError(
    "--ca, --pin, --server-name, --cert and --key mean nothing for ws:// and http://, where nothing is encrypted: write wss:// in each URL, or leave them out.",
  );
}

function checkPin(text: string): string {
  if (/^sha256\/[A-Za-z0-9+/]{43}=$/.test(text)) return text;
  throw new UsageError(
    `--pin ${shown(text)} is not the hash of a key: write sha256/ and 44 characters of base64, as culvert cert server shows it.`,
  );
}
