import { ProtocolError } from "./errors.ts";

/**
 * Counts what a peer may send and an honest one has no reason to send often: pings before the last one could be answered,
 * empty data, acks and windows that say nothing new, frames of unknown types. Each costs a little and none is a violation, so only their rate can
 * tell an attack (what HAProxy calls glitches).
 */
export class GlitchMeter {
  readonly #mostPerMinute: number;
  #count = 0;
  #since = 0;

  constructor(mostPerMinute: number) {
    this.#mostPerMinute = mostPerMinute;
  }

  /** @throws ProtocolError `too_many_glitches`. */
  count(now: number): void {
    if (now - this.#since >= MINUTE_MS) {
      this.#since = now;
      this.#count = 0;
    }
    this.#count += 1;
    if (this.#count > this.#mostPerMinute) throw new ProtocolError("too_many_glitches");
  }
}

const MINUTE_MS = 60_000;
