import type { Grants } from "@culvert/policy";

/** Who sent an upgrade request, as the gate found out. */
export interface Identity {
  /**
   * Unique: `user:alice` for one of the users file, `token` for the shared token, `loopback` and `anyone` without
   * authentication, `hook:NAME` for who the hook named. Sessions belong to it, and client names are unique within it.
   */
  readonly name: string;
  /** Its key in the users file; grants are looked up there at each decision, so that a reload counts at once. */
  readonly user: string | undefined;
  /** What it showed, for the audit and for revocation; never the secret: `token:k3v9q2m1`, `key:…`, `shared-token`, `none`. */
  readonly credential: string;
  /** What the hook granted; undefined: what the server's own rules grant. */
  readonly grants: Grants | undefined;
  /** When the hook's word ends, ms since the epoch. */
  readonly expiresAt: number | undefined;
  /** Came over loopback at both ends, and through no proxy that says so. */
  readonly isLocal: boolean;
}
