import type { Grants } from "@culvert/policy";

/** Who authenticated, and how. Made once for each transport, at the gate; nothing else decides who somebody is. */
export interface Identity {
  /**
   * Unique: `user:NAME` for one of the users, `token` for the shared token, `hook:NAME` for what the `authenticate` option
   * said, `loopback` and `anyone` without authentication. Names of clients are unique within it, and sessions resume within
   * it only.
   */
  readonly name: string;
  /** Its key in `Users.byName`. What it may do is looked up there at each decision, so that a change counts at once. */
  readonly user: string | undefined;
  /**
   * What it showed, for the audit and for revoking: `token:ID`, `key:BASE64`, `certificate:` and its entry in the users file
   * (`sha256:BASE64` of the public key, `dns:NAME`, …), `shared-token`, `hook` or `none`. Never a secret.
   */
  readonly credential: string;
  /** Of a user's token: its SHA-256, as in the users file. The id alone may come to stand for another token. */
  readonly digest?: string | undefined;
  /** Only those that the `authenticate` option gave. */
  readonly grants: Grants | undefined;
  /** Only of the `authenticate` option, ms since the epoch; that of a user is looked up. */
  readonly expiresAt: number | undefined;
  /** It came over loopback at both ends, or over a unix socket, and through no proxy. */
  readonly isLocal: boolean;
}
