import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** From the 401 with a challenge to the request that answers it. */
const LIFE_MS = 30_000;
/** Logins by key within that time. Far more than the gate takes; each costs some hundred bytes. */
const MOST_USED = 65_536;
const TIME_BYTES = 8;
const BODY_BYTES = TIME_BYTES + 16;
const MAC_BYTES = 32;

/**
 * Challenges for logins by key. None is remembered when it is given out, so that nobody can fill anything by asking for
 * them: a challenge is its time and random bytes, with a keyed hash over both. Only those that were answered rightly are
 * remembered, for as long as they would be good otherwise.
 */
export class KeyChallenges {
  readonly #secret = randomBytes(32);
  /** Used ones, the first used first, and when they may be forgotten. */
  readonly #used = new Map<string, number>();

  /** @param now Monotonic, ms; so that nothing becomes valid again when the clock is set. */
  create(now: number): string {
    const body = Buffer.alloc(BODY_BYTES);
    body.writeDoubleBE(now);
    randomBytes(BODY_BYTES - TIME_BYTES).copy(body, TIME_BYTES);
    return Buffer.concat([body, this.#mac(body)]).toString("base64url");
  }

  /** Was it made here, lately, and not used yet? */
  isValid(challenge: string, now: number): boolean {
    const bytes = Buffer.from(challenge, "base64url");
    // One spelling: two of them would be two uses.
    if (bytes.length !== BODY_BYTES + MAC_BYTES || bytes.toString("base64url") !== challenge) return false;
    const body = bytes.subarray(0, BODY_BYTES);
    if (!timingSafeEqual(bytes.subarray(BODY_BYTES), this.#mac(body))) return false;
    return now - body.readDoubleBE() <= LIFE_MS && !this.#used.has(challenge);
  }

  /** It was answered rightly. False: no more can be remembered, so this one must not count. */
  use(challenge: string, now: number): boolean {
    for (const [used, until] of this.#used) {
      if (until > now) break;
      this.#used.delete(used);
    }
    if (this.#used.size >= MOST_USED) return false;
    this.#used.set(challenge, now + LIFE_MS);
    return true;
  }

  #mac(body: Buffer): Buffer {
    return createHmac("sha256", this.#secret).update(body).digest();
  }
}
