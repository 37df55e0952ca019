/**
 * How many upgrades are taken in a second (a token bucket that holds one second's worth). After a restart every client comes
 * at once; those beyond what can be served soon are sent away cheaply and come back spread over some seconds.
 */
export class UpgradeRate {
  readonly #perSecond: number;
  #tokens: number;
  #at: number;

  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond;
    this.#tokens = perSecond;
    this.#at = now;
  }

  /** False: not now. */
  take(now: number): boolean {
    this.#tokens = Math.min(this.#perSecond, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
