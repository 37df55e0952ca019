import type { Client, ClientTlsOptions } from "@culvert/client";
import { fingerprintOf } from "./fingerprint.ts";
import type { LivePart } from "./live-files.ts";
import { readCertificateFile, readTlsKeyFile } from "./pem-files.ts";
import { UsageError } from "./usage-error.ts";

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
