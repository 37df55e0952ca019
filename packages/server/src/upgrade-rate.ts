import { countedAddress } from "./counted-address.ts";
import { TokenBucket } from "./token-bucket.ts";

/** What an address took, fading: after a second a third of it counts. */
interface Taken {
  readonly count: number;
  readonly at: number;
}

const FADE_MS = 1000;
/** Faded to nothing, even with thousands a second. */
const FORGET_MS = 10_000;

/**
 * How many upgrades are taken in a second (a token bucket that holds one second's worth). After a restart every client comes
 * at once; those beyond what can be served soon are sent away cheaply and come back spread over some seconds.
 *
 * One address may take as many as it leaves: half of a burst, and later all that nobody else wants. So a host that connects in
 * a circle, or some of them, cannot use up what others need. Loopback may take all, see {@link countedAddress}.
 */
export class UpgradeRate {
  readonly #bucket: TokenBucket;
  /** In the order of their last, as a Map iterates: so those to be forgotten come first. */
  readonly #taken = new Map<string, Taken>();

  constructor(perSecond: number, now: number) {
    this.#bucket = new TokenBucket({ burst: perSecond, perSecond }, now);
  }

  /** False: not now. */
  take(now: number, remoteAddress?: string): boolean {
    const address = countedAddress(remoteAddress);
    const taken = address === undefined ? 0 : this.#takenBy(address, now);
    if (address !== undefined && taken >= this.#bucket.level(now)) return false;
    if (!this.#bucket.take(now)) return false;
    if (address !== undefined) {
      this.#taken.delete(address);
      this.#taken.set(address, { count: taken + 1, at: now });
      this.#forget(now);
    }
    return true;
  }

  #takenBy(address: string, now: number): number {
    const { count, at } = this.#taken.get(address) ?? { count: 0, at: now };
    return count * Math.exp((at - now) / FADE_MS);
  }

  /** Each entry is an upgrade that was taken, so there are never more than some seconds' worth. */
  #forget(now: number): void {
    for (const [address, { at }] of this.#taken) {
      if (now - at < FORGET_MS) return;
      this.#taken.delete(address);
    }
  }
}
