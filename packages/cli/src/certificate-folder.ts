import { createPrivateKey } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  type CertificateRequest,
  faultOfAuthority,
  issueCertificate,
  isUsableKey,
  type KeyedCertificate,
  newAuthority,
} from "./certificates.ts";
import { codeOf, readInputFile } from "./input-file.ts";
import { replaceFile, writeNewFiles } from "./new-file.ts";
import { readSecretFile } from "./secret-file.ts";
import { shown, UsageError } from "./usage-error.ts";

/** Where a certificate of the folder is. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

const MAX_CERTIFICATE_BYTES = 64 * 1024;

/** A folder with an authority of one's own and what it signed: `ca.pem`, `ca-key.pem`, `server.pem`, `server-key.pem`, … */
export class CertificateFolder {
  readonly #path: string;
  readonly #now: () => number;

  /** @param now The clock, milliseconds since the epoch. */
  constructor(path: string, now: () => number = Date.now) {
    this.#path = path;
    this.#now = now;
  }

  filesOf(name: string): CertificateFiles {
    return { certificate: join(this.#path, `${name}.pem`), key: join(this.#path, `${name}-key.pem`) };
  }

  /** Makes the folder if need be, and an authority in it. @throws UsageError when there is one. */
  async makeAuthority(name: string, days: number): Promise<KeyedCertificate> {
    try {
      // Who may write in it can put another authority in the place of this one, whatever the mode of its files.
      mkdirSync(this.#path, { recursive: true, mode: 0o755 });
    } catch (error) {
      throw new UsageError(
        `the folder ${shown(this.#path)} cannot be made (${codeOf(error)}): name another.`,
      );
    }
    const authority = await newAuthority(name, days, this.#now());
    this.#writeNew("ca", authority);
    return authority;
  }

  /**
   * Makes a certificate `name` by the authority of the folder.
   * @param renews Puts it in the place of an older one and keeps that one's key, so that pins stay true.
   * @throws UsageError when there is no authority that can sign, or nothing to renew, or something in the way.
   */
  async issue(name: string, request: CertificateRequest, renews: boolean): Promise<KeyedCertificate> {
    const authority = this.#readAuthority();
    const key = renews ? this.#readKey(name) : undefined;
    const issued = await issueCertificate(authority, { ...request, key }, this.#now());
    if (!renews) this.#writeNew(name, issued);
    else {
      const file = { path: this.filesOf(name).certificate, text: issued.certificate, isSecret: false };
      replaceFile(file, "the certificate");
    }
    return issued;
  }

  #writeNew(name: string, { certificate, key }: KeyedCertificate): void {
    const files = this.filesOf(name);
    writeNewFiles(
      [
        { path: files.key, text: key, isSecret: true },
        { path: files.certificate, text: certificate, isSecret: false },
      ],
      "the file",
    );
  }

  #readAuthority(): KeyedCertificate {
    const files = this.filesOf("ca");
    const what = "the authority";
    let authority: KeyedCertificate;
    try {
      const rules = { maxBytes: MAX_CERTIFICATE_BYTES, access: "not changed by others" } as const;
      authority = {
        certificate: readInputFile(files.certificate, what, rules).toString("utf8"),
        key: readSecretFile(files.key, `${what}'s key`),
      };
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      const mend = `make one with: culvert cert ca ${shown(this.#path)}`;
      throw new UsageError(
        error.message.replace(/there is no such file\.$/, `there is no such file; ${mend}.`),
      );
    }
    const fault = faultOfAuthority(authority, this.#now());
    if (fault === undefined) return authority;
    throw new UsageError(
      `${what} ${shown(files.certificate)} cannot sign: ${fault}; make another one in another folder with: culvert cert ca.`,
    );
  }

  #readKey(name: string): string {
    const { key: path } = this.filesOf(name);
    const key = readSecretFile(path, "the key to keep");
    try {
      if (isUsableKey(createPrivateKey(key))) return key;
    } catch {
      // told below
    }
    throw new UsageError(
      `the key to keep ${shown(path)} is not an unencrypted one of P-256 in PEM form, as culvert cert makes it: leave out --renew and choose another --name.`,
    );
  }
}
