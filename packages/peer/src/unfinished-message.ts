import { type PieceHolder, type PieceRoom, pieceRoom } from "./piece-room.ts";

/**
 * The message that a transport is in the middle of, as far as one can tell from outside of the WebSocket: since something
 * ended last, bytes have come and nothing has ended. It must go on: a message that is never whole is held in memory, and
 * bytes of it would pass for signs of life. Ten seconds from its first byte, and one more for each KiB that came: a bad line
 * brings a large frame late, and must not be cut, or the same frame would come late again.
 *
 * Judged by what comes, and a pause counts for 5 s at the most: where nothing comes, because the line or a process stands
 * still, it is for the silence to judge (Liveness), and what comes behind it may be the rest.
 */
export class UnfinishedMessage implements PieceHolder {
  readonly #onGivenUp: () => void;
  readonly #room: PieceRoom;
  #pieces = 0;
  #bytes = 0;
  #tookMs = 0;
  #heardAt = 0;
  #hasEnded = false;
  #isClosed = false;

  /** @param onGivenUp It took too long, or came in too many pieces. */
  constructor(onGivenUp: () => void, room: PieceRoom = pieceRoom) {
    this.#onGivenUp = onGivenUp;
    this.#room = room;
  }

  /** Something ended in the chunk that is being read. */
  ended(): void {
    this.#hasEnded = true;
  }

  /** A chunk was read. What begins behind an end in the same chunk counts from the next chunk on. */
  chunk(bytes: number): void {
    if (this.#isClosed) return;
    if (this.#hasEnded) {
      this.#hasEnded = false;
      if (this.#pieces > 0) this.#forget();
      return;
    }
    const now = performance.now();
    if (this.#pieces > 0) this.#tookMs += Math.min(now - this.#heardAt, MOST_PAUSE_MS);
    this.#heardAt = now;
    this.#pieces += 1;
    this.#bytes += bytes;
    if (this.#tookMs > LIMIT_MS + this.#bytes / BYTES_PER_MS) {
      this.giveUp();
      return;
    }
    if (this.#pieces > FREE_PIECES) this.#room.set(this, this.#pieces);
  }

  /** The transport is gone. */
  close(): void {
    this.#isClosed = true;
    this.#forget();
  }

  giveUp(): void {
    this.close();
    this.#onGivenUp();
  }

  #forget(): void {
    if (this.#pieces > FREE_PIECES) this.#room.leave(this);
    this.#pieces = 0;
    this.#bytes = 0;
    this.#tookMs = 0;
  }
}

const LIMIT_MS = 10_000;
const MOST_PAUSE_MS = 5000;
const BYTES_PER_MS = 1.024;
/** A frame of 64 KiB comes in fewer from any ordinary line; they are not worth counting. */
const FREE_PIECES = 64;
