import { type PieceHolder, type PieceRoom, pieceRoom } from "./piece-room.ts";

/**
 * The message that a transport is in the middle of, as far as one can tell from outside of the WebSocket: since something
 * ended last, bytes have come and nothing has ended. It must go on: a message that is never whole is held in memory, and
 * bytes of it would pass for signs of life. Ten seconds from its first byte, and one more for each KiB that came: a bad line
 * brings a large frame late, and must not be cut, or the same frame would come late again.
 */
export class UnfinishedMessage implements PieceHolder {
  readonly #onGivenUp: () => void;
  readonly #room: PieceRoom;
  #pieces = 0;
  #bytes = 0;
  #since = 0;
  #hasEnded = false;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;

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
    if (this.#pieces === 0) {
      this.#since = performance.now();
      this.#timer ??= setTimeout(this.#look, LIMIT_MS).unref();
    }
    this.#pieces += 1;
    this.#bytes += bytes;
    if (this.#pieces > FREE_PIECES) this.#room.set(this, this.#pieces);
  }

  /** The transport is gone. */
  close(): void {
    this.#isClosed = true;
    this.#forget();
    clearTimeout(this.#timer);
  }

  giveUp(): void {
    this.close();
    this.#onGivenUp();
  }

  // The loop may be late: what waits in the kernel is read before anything is judged (immediates follow the poll).
  #look = (): void => void setImmediate(this.#judge);

  /** The timer is not moved with every message: it finds nothing, or another one, and waits again. */
  #judge = (): void => {
    this.#timer = undefined;
    if (this.#pieces === 0) return;
    const leftMs = this.#since + LIMIT_MS + this.#bytes / BYTES_PER_MS - performance.now();
    if (leftMs <= 0) this.giveUp();
    else this.#timer = setTimeout(this.#look, Math.ceil(leftMs)).unref();
  };

  #forget(): void {
    if (this.#pieces > FREE_PIECES) this.#room.leave(this);
    this.#pieces = 0;
    this.#bytes = 0;
  }
}

const LIMIT_MS = 10_000;
const BYTES_PER_MS = 1.024;
/** A frame of 64 KiB comes in fewer from any ordinary line; they are not worth counting. */
const FREE_PIECES = 64;
