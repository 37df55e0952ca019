import { ProtocolError } from "./errors.ts";

/**
 * The sending direction of one stream, as numbers: what was sent, and how far the peer lets it go. All values are absolute
 * byte offsets of the stream.
 */
export class SendWindow {
  readonly #initialBytes: number;
  #limit: number;
  #sent = 0;
  /** What had been sent when its use was looked at. */
  #sentBefore = 0;

  /** @param initialBytes What the peer announced for each new stream. */
  constructor(initialBytes: number) {
    this.#initialBytes = initialBytes;
    this.#limit = initialBytes;
  }

  get sent(): number {
    return this.#sent;
  }

  /** What may be sent now. */
  get room(): number {
    return this.#limit - this.#sent;
  }

  advance(bytes: number): void {
    this.#sent += bytes;
  }

  /** Returns false when it says nothing new. @throws ProtocolError `bad_window`. */
  raise(limit: number): boolean {
    if (limit < this.#limit) throw new ProtocolError("bad_window", "it shrinks");
    const isNews = limit > this.#limit;
    this.#limit = limit;
    return isNews;
  }

  /** Was anything sent since the last call? */
  wasUsed(): boolean {
    const wasUsed = this.#sent > this.#sentBefore;
    this.#sentBefore = this.#sent;
    return wasUsed;
  }

  /** Is there more to send into than a new stream has? The peer keeps memory for it. */
  get hasSurplus(): boolean {
    return this.room > this.#initialBytes;
  }

  /** Gives the surplus back. Returns the limit that there was: the peer may have granted more by now. */
  release(): number {
    const limit = this.#limit;
    this.#limit = this.#sent + this.#initialBytes;
    return limit;
  }
}
