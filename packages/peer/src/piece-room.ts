/** Somebody who has a message in many pieces. */
export interface PieceHolder {
  /** Lets go of them. */
  giveUp(): void;
}

/**
 * How many pieces of unfinished messages there may be, of everybody who shares it. The WebSocket keeps each piece as it was
 * read until the message is whole, at almost 400 bytes apiece. One byte a piece is the worst that a middlebox does to a
 * frame, and must pass: a bound for each connection alone that lets it pass lets a thousand others fill the memory. So
 * when there are too many, whoever has most of them goes.
 */
export class PieceRoom {
  readonly #most: number;
  readonly #inside = new Map<PieceHolder, number>();
  #pieces = 0;

  constructor(most: number = MOST_PIECES) {
    this.#most = most;
  }

  get pieces(): number {
    return this.#pieces;
  }

  /** `who` has so many now. */
  set(who: PieceHolder, pieces: number): void {
    this.#pieces += pieces - (this.#inside.get(who) ?? 0);
    this.#inside.set(who, pieces);
    if (this.#pieces > this.#most) this.#relieve();
  }

  leave(who: PieceHolder): void {
    this.#pieces -= this.#inside.get(who) ?? 0;
    this.#inside.delete(who);
  }

  #relieve(): void {
    let greatest: PieceHolder | undefined;
    let most = 0;
    for (const [who, pieces] of this.#inside) {
      if (pieces <= most) continue;
      greatest = who;
      most = pieces;
    }
    if (greatest === undefined) return;
    this.leave(greatest);
    greatest.giveUp();
  }
}

/** The largest frame in single bytes, and about 24 MiB. */
const MOST_PIECES = 65_536 + 1024;

/** One for the process, whose memory it is about. */
export const pieceRoom: PieceRoom = new PieceRoom();
