import type { Users } from "@culvert/policy";
import type { Server, ServerTlsOptions } from "@culvert/server";
import { fingerprintOf } from "./fingerprint.ts";
import type { LivePart } from "./live-files.ts";
import { readCertificateFile, readTlsKeyFile } from "./pem-files.ts";
import { UsageError } from "./usage-error.ts";
import { readUsersFile } from "./users-source.ts";

/** The flags of a server that name files which may change while it runs. */
export interface ServerFileFlags {
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsClientCa?: string;
  readonly users?: string;
}

/** What these files hold, and how it is read again. */
export interface ServerFiles {
  readonly users: Users | undefined;
  readonly tls: ServerTlsOptions | undefined;
  /** @param explain Says in flags what the server finds wrong. */
  readonly parts: (server: Server, explain: (act: () => void) => void) => LivePart[];
}

/** @throws UsageError */
export function readServerFiles(flags: ServerFileFlags): ServerFiles {
  const users = flags.users === undefined ? undefined : readUsersFile(flags.users, "--users");
  const tls = readTls(flags);
  return {
    users: users?.users,
    tls: tls?.options,
    parts: (server, explain) => {
      const parts: LivePart[] = [];
      if (users !== undefined && flags.users !== undefined) {
        const path = flags.users;
        const read: LivePart["read"] = () => {
          const now = readUsersFile(path, "--users");
          return { fingerprint: now.fingerprint, apply: () => explain(() => server.setUsers(now.users)) };
        };
        parts.push({ what: "users", files: [path], inForce: users.fingerprint, read });
      }
      if (tls !== undefined) {
        const files = [flags.tlsCert, flags.tlsKey, flags.tlsClientCa].filter((path) => path !== undefined);
        const read: LivePart["read"] = () => {
          const now = readTls(flags)!;
          return { fingerprint: now.fingerprint, apply: () => explain(() => server.setTls(now.options)) };
        };
        parts.push({ what: "certificate", files, inForce: tls.fingerprint, read });
      }
      return parts;
    },
  };
}

function readTls(
  flags: ServerFileFlags,
): { readonly options: ServerTlsOptions; readonly fingerprint: string } | undefined {
  const { tlsCert, tlsKey, tlsClientCa } = flags;
  if (tlsCert === undefined && tlsKey === undefined && tlsClientCa === undefined) return undefined;
  if (tlsCert === undefined) {
    throw new UsageError("--tls-cert is missing: --tls-key and --tls-client-ca are of no use without it.");
  }
  if (tlsKey === undefined) throw new UsageError("--tls-key is missing: give the key of the certificate.");
  const cert = readCertificateFile(tlsCert, "--tls-cert");
  const key = readTlsKeyFile(tlsKey, "--tls-key");
  const clientCa =
    tlsClientCa === undefined ? undefined : readCertificateFile(tlsClientCa, "--tls-client-ca");
  const options = { cert, key, ...(clientCa === undefined ? {} : { clientCa }) };
  return { options, fingerprint: fingerprintOf([cert, key, clientCa]) };
}
