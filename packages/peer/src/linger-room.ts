/** Somebody whose bytes are still to be delivered although the stream that brought them is over. */
export interface Lingerer {
  /** Lets go of everything, at once: there is no room for it any more. */
  giveUp(): void;
}

/**
 * How much may linger, of everybody who shares it. What lingers belongs to no session any more, so no budget of a session
 * counts it: a peer that sends, ends and resets in a circle, to targets that read nothing, would fill the memory of the
 * process behind the back of all its bounds.
 *
 * When there is no room, whoever made no progress for the longest time goes. A reader that reads is never that one for
 * long; those that a peer has filled the room with are.
 */
export class LingerRoom {
  readonly #mostBytes: number;
  readonly #mostSockets: number;
  /** In the order of their last progress, with the bytes that they hold. */
  readonly #inside = new Map<Lingerer, number>();
  #bytes = 0;

  constructor(mostBytes: number = MOST_BYTES, mostSockets: number = MOST_SOCKETS) {
    this.#mostBytes = mostBytes;
    this.#mostSockets = mostSockets;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get sockets(): number {
    return this.#inside.size;
  }

  /** Others may have to go for it, or it itself, if it is larger than the room. */
  enter(who: Lingerer, bytes: number): void {
    this.#inside.set(who, bytes);
    this.#bytes += bytes;
    for (const oldest of this.#inside.keys()) {
      if (this.#bytes <= this.#mostBytes && this.#inside.size <= this.#mostSockets) return;
      this.leave(oldest);
      oldest.giveUp();
    }
  }

  /** `who` holds only so many bytes any more. Nothing, if it is not inside. */
  shrink(who: Lingerer, bytes: number): void {
    const before = this.#inside.get(who);
    if (before === undefined || bytes >= before) return;
    this.#bytes -= before - bytes;
    this.#inside.delete(who);
    this.#inside.set(who, bytes);
  }

  leave(who: Lingerer): void {
    this.#bytes -= this.#inside.get(who) ?? 0;
    this.#inside.delete(who);
  }
}

const MOST_BYTES = 32 * 1024 * 1024;
const MOST_SOCKETS = 1024;

/** One for the process, whose memory and descriptors it is about. */
export const lingerRoom: LingerRoom = new LingerRoom();
