import type { SessionOptions } from "@culvert/protocol";
import { TokenBucket } from "./token-bucket.ts";

/** Listeners that a session may ask for in a second, in the long run. */
const PER_SECOND = 50;

/**
 * How often a session may ask for listeners: to open one and close it again costs far more than to ask. An honest client may
 * ask for all that it may have at once, and again as a new session. Who is refused and goes on at once does so to harm; that
 * counts as other useless frames do.
 */
export class ListenRate {
  readonly #asks: TokenBucket;
  readonly #refusals: TokenBucket;

  constructor({ maxTunnels, maxGlitchesPerMinute }: SessionOptions, now: number) {
    this.#asks = new TokenBucket({ burst: Math.max(PER_SECOND, maxTunnels), perSecond: PER_SECOND }, now);
    const glitches = { burst: maxGlitchesPerMinute, perSecond: maxGlitchesPerMinute / 60 };
    this.#refusals = new TokenBucket(glitches, now);
  }

  /** `tunnel_limit`: not now. `too_many_glitches`: the session is to end. Undefined: it may. */
  faultAt(now: number): "tunnel_limit" | "too_many_glitches" | undefined {
    if (this.#asks.take(now)) return undefined;
    return this.#refusals.take(now) ? "tunnel_limit" : "too_many_glitches";
  }
}
