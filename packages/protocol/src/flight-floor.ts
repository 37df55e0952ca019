/**
 * How much may be in flight whatever the measured rate says: enough for any short path, but on a slow one no more than
 * waits there for about a second. Starts small, doubles while what was sent is acknowledged soon, and shrinks when it
 * waited for long. Only a flight that made use of the floor says something about it, as with the congestion window of
 * TCP (RFC 7661).
 */
export class FlightFloor {
  #bytes = START_BYTES;
  #sent = 0;
  #acked = 0;
  /**
   * The frame that is timed, and what was in flight with it: the last one that left before an acknowledgement came, so
   * that one which found the path empty does not speak for the burst behind it.
   */
  #mark: { readonly end: number; readonly inFlight: number; readonly at: number } | undefined;
  #isMarkFixed = false;

  get bytes(): number {
    return this.#bytes;
  }

  /** A new transport: what is under way was lost, and nothing is known of the path. */
  restart(): void {
    this.#bytes = START_BYTES;
    this.#acked = this.#sent;
    this.#forgetMark();
  }

  /** @param inFlight with `bytes`. */
  sent(bytes: number, inFlight: number, now: number): void {
    this.#sent += bytes;
    if (!this.#isMarkFixed) this.#mark = { end: this.#sent, inFlight, at: now };
  }

  /**
   * Returns how long the acknowledgement of the timed frame took, when it is the one that came and the flight was in use: alone
   * a frame says nothing of what one takes under load.
   * @param pathMs what an acknowledgement takes when nothing waits.
   */
  acked(bytes: number, pathMs: number, now: number): number | undefined {
    this.#acked += bytes;
    const mark = this.#mark;
    if (mark === undefined) return undefined;
    this.#isMarkFixed = true;
    if (this.#acked < mark.end) return undefined;
    this.#forgetMark();
    const tookMs = now - mark.at;
    if (mark.inFlight < this.#bytes / 2) return undefined;
    this.#adapt(tookMs - pathMs);
    return tookMs;
  }

  #adapt(waitedMs: number): void {
    if (waitedMs > LONG_MS) this.#bytes = Math.max(LEAST_BYTES, (this.#bytes * LONG_MS) / waitedMs);
    else if (waitedMs < SHORT_MS) this.#bytes = Math.min(2 * this.#bytes, MOST_BYTES);
  }

  #forgetMark(): void {
    this.#mark = undefined;
    this.#isMarkFixed = false;
  }
}

/** As much as a peer acknowledges without delay. */
const START_BYTES = 64 * 1024;
/** A second at 256 kbit/s. Less would leave nothing to a tunnel on a line that others fill. */
const LEAST_BYTES = 32 * 1024;
const MOST_BYTES = 256 * 1024;
const LONG_MS = 1000;
const SHORT_MS = 500;
