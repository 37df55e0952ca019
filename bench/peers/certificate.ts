import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** PEM files. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

/** Where {@link makeCertificate} puts them. */
export function certificateIn(folder: string): Certificate {
  return { certificate: join(folder, "certificate.pem"), key: join(folder, "key.pem") };
}

/** A self-signed certificate for 127.0.0.1 and 127.0.0.2, good for two days. */
export async function makeCertificate(folder: string): Promise<Certificate> {
  const files = certificateIn(folder);
  await execute("openssl", [
    ...["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"],
    ...["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
    ...["-addext", "subjectAltName=IP:127.0.0.1,IP:127.0.0.2"],
    ...["-keyout", files.key, "-out", files.certificate],
  ]);
  return files;
}
