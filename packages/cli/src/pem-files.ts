import { readInputFile } from "./input-file.ts";
import { readSecretFile } from "./secret-file.ts";
import { shown, UsageError } from "./usage-error.ts";

/** All the authorities that a system knows are a quarter of a megabyte. */
const MAX_BYTES = 4 * 1024 * 1024;

/** Reads certificates; whoever may change them decides who is trusted. @throws UsageError */
export function readCertificateFile(path: string, flag: string): string {
  const rules = { maxBytes: MAX_BYTES, access: "not changed by others" } as const;
  return readInputFile(path, flag, rules).toString("utf8");
}

/** Reads a private key for TLS. @throws UsageError; never with anything of the key. */
export function readTlsKeyFile(path: string, flag: string): string {
  const key = readSecretFile(path, flag);
  if (!key.includes("ENCRYPTED")) return key;
  // Who starts it again when nobody is there to type? And a passphrase in a file beside the key guards nothing.
  throw new UsageError(
    `${flag} ${shown(path)}: the key is encrypted; take the passphrase off, as in: (umask 077; openssl pkey -in ${shown(path)} -out key.pem).`,
  );
}
