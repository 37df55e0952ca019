import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { isProxied } from "./arrival-path.ts";
import { countedAddress } from "./counted-address.ts";
import { type BucketSize, TokenBucket } from "./token-bucket.ts";

/** For each failed login; they add up (OpenSSH's `PerSourcePenalties`, sshd_config(5)). */
const PENALTY_MS = 5000;
/** From here on they count, so that a slip or two does not keep anybody out. */
const ACTIVE_MS = 15_000;
const MOST_MS = 600_000;
const MOST_SOURCES = 65_536;
/** Where many may stand behind one address they share this instead: nobody is kept out for another's failures for long. */
const SHARED: BucketSize = { burst: 50, perSecond: 20 };

/** Where a login came from. */
export interface LoginSource {
  readonly key: string;
  /** A proxy, or a unix socket: many clients may be behind it. */
  readonly isShared: boolean;
}

type Failures =
  | { readonly kind: "shared"; readonly bucket: TokenBucket }
  | { readonly kind: "alone"; readonly until: number; readonly isActive: boolean };

/**
 * Who fails to log in has to wait before the next credentials of his count that could be guessed, right ones included:
 * otherwise guesses could go on, and the answer would tell which was right. Bounded: of too many sources the one is forgotten
 * that failed longest ago.
 */
export class LoginPenalties {
  /** The one that failed last is last. */
  readonly #records = new Map<string, Failures>();

  get size(): number {
    return this.#records.size;
  }

  /** How long no credentials from there count that could be guessed, ms; 0: they do. @param now Monotonic, ms. */
  waitMs({ key }: LoginSource, now: number): number {
    const record = this.#records.get(key);
    if (record === undefined) return 0;
    if (record.kind === "shared") return record.bucket.level(now) < 1 ? 1000 / SHARED.perSecond : 0;
    if (record.until <= now) this.#records.delete(key);
    return record.isActive ? Math.max(0, record.until - now) : 0;
  }

  failed({ key, isShared }: LoginSource, now: number): void {
    const record = this.#records.get(key);
    this.#records.delete(key);
    this.#records.set(key, isShared ? drawn(record, now) : punished(record, now));
    if (this.#records.size <= MOST_SOURCES) return;
    for (const first of this.#records.keys()) {
      this.#records.delete(first);
      return;
    }
  }
}

function drawn(record: Failures | undefined, now: number): Failures {
  const bucket = record?.kind === "shared" ? record.bucket : new TokenBucket(SHARED, now);
  bucket.take(now);
  return { kind: "shared", bucket };
}

function punished(record: Failures | undefined, now: number): Failures {
  const left = record?.kind === "alone" ? Math.max(0, record.until - now) : 0;
  const ms = Math.min(left + PENALTY_MS, MOST_MS);
  const wasActive = record?.kind === "alone" && record.isActive && left > 0;
  // In whole seconds, so that three at once are enough.
  return { kind: "alone", until: now + ms, isActive: wasActive || Math.ceil(ms / 1000) * 1000 >= ACTIVE_MS };
}

/**
 * An IPv6 address counts by its /64, and each address of loopback by itself. What a proxy passed on is known by that of the
 * proxy only: what it says of its clients could be said by anybody.
 */
export function loginSourceOf(request: IncomingMessage, socket: Duplex): LoginSource {
  const { remoteAddress } = socket as { remoteAddress?: string };
  if (remoteAddress === undefined) return { key: "unix", isShared: true };
  const address = countedAddress(remoteAddress) ?? remoteAddress.replace(/^::ffff:/i, "");
  return isProxied(request)
    ? { key: `through ${address}`, isShared: true }
    : { key: address, isShared: false };
}
