/** What a packet of a TCP connection carries on an Ethernet. */
const SEGMENT_BYTES = 1_460;

/** Which bytes of one direction of a link are in a lost packet: the same ones for the same seed. */
export class Loss {
  readonly #meanBytes: number;
  #state: number;
  #left: number;

  /** @param rate share of lost packets; 0 loses none. */
  constructor(rate: number, seed: number) {
    this.#meanBytes = SEGMENT_BYTES / rate;
    this.#state = seed;
    this.#left = this.#draw();
  }

  /** Whether a packet is lost among the next `bytes`. */
  hits(bytes: number): boolean {
    this.#left -= bytes;
    if (this.#left > 0) return false;
    while (this.#left <= 0) this.#left += this.#draw();
    return true;
  }

  /** Bytes to the next loss: losses that do not depend on each other lie exponentially apart. */
  #draw(): number {
    if (this.#meanBytes === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
    // mulberry32, a generator of 32 bits whose whole state is its seed
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    const uniform = ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
    return Math.max(1, -Math.log(1 - uniform) * this.#meanBytes);
  }
}
