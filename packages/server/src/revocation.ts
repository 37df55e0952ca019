import type { Authority } from "./authority.ts";
import type { ServerSession } from "./server-session.ts";

/** Clocks are set and jump, and no timer of Node holds more than 24.8 days: no expiry is slept towards for longer. */
const LOOK_AGAIN_MS = 60_000;

/**
 * Ends the sessions of those who may not be here any more: after a change of the users at once, and when the time of an
 * identity is over. They cannot be resumed.
 */
export class Revocation {
  readonly #authority: Authority;
  readonly #sessions: () => readonly ServerSession[];
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires, ms since the epoch. */
  #at = Number.POSITIVE_INFINITY;

  constructor(authority: Authority, sessions: () => readonly ServerSession[]) {
    this.#authority = authority;
    this.#sessions = sessions;
  }

  /** The rules have changed: who may not be here goes, and what may not listen or be dialed is given up. */
  apply(): void {
    this.#endRevoked();
    for (const session of this.#sessions()) session.judgeAgain();
  }

  /** A session has begun, or goes on for another credential. */
  watch(session: ServerSession): void {
    this.#arm(this.#authority.expiryOf(session.who) ?? Number.POSITIVE_INFINITY);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#at = Number.POSITIVE_INFINITY;
  }

  #endRevoked(): void {
    this.stop();
    const now = Date.now();
    let nearest = Number.POSITIVE_INFINITY;
    for (const session of this.#sessions()) {
      if (this.#authority.isRevoked(session.who, now)) session.link.close("revoked");
      else nearest = Math.min(nearest, this.#authority.expiryOf(session.who) ?? nearest);
    }
    this.#arm(nearest);
  }

  #arm(expiry: number): void {
    if (expiry >= this.#at || expiry === Number.POSITIVE_INFINITY) return;
    clearTimeout(this.#timer);
    const now = Date.now();
    const delay = Math.min(Math.max(0, expiry - now), LOOK_AGAIN_MS);
    // What is to expire tomorrow is looked at every minute; that must not keep what expires sooner from being looked at.
    this.#at = now + delay;
    this.#timer = setTimeout(() => this.#endRevoked(), delay).unref();
  }
}
