import { ProtocolError } from "./errors.ts";
import { headroom } from "./flight.ts";
import { type MemoryShare, unsharedMemory } from "./memory-pool.ts";
import type { SessionOptions } from "./session-options.ts";

/** What the windows of a session promise beyond the initial ones, which `maxStreams` bounds. */
export class ReceiveBudget {
  readonly #limit: number;
  readonly #share: MemoryShare;
  #used = 0;

  /** @param share The session's part of the process's memory; initial windows come out of it too. */
  constructor(limitBytes: number, share: MemoryShare = unsharedMemory().receive) {
    this.#limit = limitBytes;
    this.#share = share;
  }

  get used(): number {
    return this.#used;
  }

  get free(): number {
    return Math.min(this.#limit - this.#used, this.#share.freeForPromises - WINDOW_FRAME_COST);
  }

  /** Should promises be kept small, because the memory of the process is nearly taken? */
  get isTight(): boolean {
    return this.#share.isTight;
  }

  /** Is there room for the initial window of one more stream? */
  hasRoomFor(initialBytes: number): boolean {
    return (
      this.#share.ownedFree >= initialBytes || (!this.#share.isTight && this.#share.free >= initialBytes)
    );
  }

  reserve(bytes: number): void {
    this.#used += bytes;
    this.#share.take(bytes);
  }

  release(bytes: number): void {
    this.#used -= bytes;
    this.#share.take(-bytes);
  }

  openInitial(bytes: number): void {
    this.#share.take(bytes);
  }

  closeInitial(bytes: number): void {
    this.#share.take(-bytes);
  }
}

/** A promise is told in a frame, which is kept too and comes out of the same pool. */
const WINDOW_FRAME_COST = 256;
/** One stream may take a quarter of what is free to it. */
const SHARE = 4;
/**
 * What an event loop under load adds to any round trip: on a path shorter than this, its turns are the round trip. Of a stream
 * that waits here no other one knows, so unlike the flight a window may be generous.
 */
const TURN_MS = 5;
/** Windows shrink to this while the memory of the process is nearly taken. */
const TIGHT_WINDOW_BYTES = 64 * 1024;

type WindowOptions = Pick<SessionOptions, "initialWindowBytes" | "firstWindowBytes" | "maxWindowBytes">;

/**
 * The receiving direction of one stream, as numbers: how far the peer came, what the reader took, what was promised.
 * A promise is a place in memory: what exceeds the initial window is reserved in the session's budget before it is
 * granted, and it is never taken back. All values are absolute byte offsets of the stream.
 */
export class ReceiveWindow {
  readonly #options: WindowOptions;
  readonly #budget: ReceiveBudget;
  #received = 0;
  #consumed = 0;
  #granted: number;
  #reserved = 0;
  /** What the stream may always have unread, until it is over. */
  #initial: number;
  #target: number;
  #epochStart = 0;
  #epochConsumed = 0;
  /** What the reader took in a minimum round trip, in the last epoch. */
  #perPath = 0;
  #abandoned: boolean;

  /** @param isServed Will anybody read it? */
  constructor(options: WindowOptions, budget: ReceiveBudget, isServed = true) {
    this.#options = options;
    this.#budget = budget;
    this.#granted = options.initialWindowBytes;
    this.#target = options.initialWindowBytes;
    // What comes for a stream that is refused for want of memory is dropped, and needs none.
    this.#abandoned = !isServed;
    this.#initial = isServed ? options.initialWindowBytes : 0;
    budget.openInitial(this.#initial);
  }

  get received(): number {
    return this.#received;
  }

  get unconsumed(): number {
    return this.#received - this.#consumed;
  }

  /** The size that the window is growing towards. */
  get target(): number {
    return this.#target;
  }

  /**
   * Counts a DATA frame.
   * @throws ProtocolError `offset_mismatch`, `window_exceeded`.
   */
  receive(offsetLow32: number, length: number): void {
    if (this.#received % 2 ** 32 !== offsetLow32) throw new ProtocolError("offset_mismatch", "DATA");
    if (this.#received + length > this.#granted) throw new ProtocolError("window_exceeded");
    this.#received += length;
  }

  /** @throws ProtocolError `offset_mismatch`. */
  receiveEnd(total: number): void {
    if (total !== this.#received) throw new ProtocolError("offset_mismatch", "END");
    this.#granted = this.#received; // nothing more may come: the rest of the promise is free again
    this.#settle();
  }

  /**
   * The peer gives back what it may send beyond an initial window: it has no use for it. `limit` is the last one that it
   * knew. Returns false when that says nothing new. @throws ProtocolError `bad_window`.
   */
  release(limit: number): boolean {
    if (limit > this.#granted) throw new ProtocolError("bad_window", "RELEASE of more than was granted");
    // It has got a larger one meanwhile, and keeps that.
    if (limit < this.#granted) return false;
    const { initialWindowBytes } = this.#options;
    if (this.#received + initialWindowBytes >= this.#granted) return false;
    this.#granted = this.#received + initialWindowBytes;
    this.#target = initialWindowBytes;
    this.#settle();
    return true;
  }

  /** The reader took bytes; true when a WINDOW is worth its frame. */
  consume(bytes: number): boolean {
    this.#consumed = Math.min(this.#consumed + bytes, this.#received);
    this.#settle();
    return this.isDue;
  }

  /**
   * A quarter of the initial window opens the first real one; after that each eighth. With a half, what comes in one round
   * trip is granted again only in the next, and half the window is never used.
   */
  get isDue(): boolean {
    if (this.#target === this.#options.initialWindowBytes) return this.#consumed * 4 >= this.#target;
    return this.#consumed + this.#target - this.#granted >= this.#target / 8;
  }

  /**
   * The limit to announce now, or undefined when there is none above the last: the budget may be used up, and then
   * only the initial window is kept open, which needs none.
   */
  grant(now: number, minRttMs: number | undefined): number | undefined {
    this.#grow(now, minRttMs);
    const base = this.#consumed + this.#options.initialWindowBytes;
    // At most a share of what it holds and what is free: readers that stop could otherwise pin the whole budget, and
    // leave those who come later with their initial windows.
    const affordable = base + Math.floor((this.#reserved + Math.max(0, this.#budget.free)) / SHARE);
    // Never below the initial one, which is open in any case: what is not granted now would never be asked for again.
    const tight = Math.max(TIGHT_WINDOW_BYTES, this.#options.initialWindowBytes);
    const most = this.#budget.isTight ? Math.min(this.#target, tight) : this.#target;
    const limit = Math.min(this.#consumed + most, affordable);
    // Less than half an initial window is not worth a frame: the peer may still send as much.
    if (limit - this.#granted < Math.ceil(this.#options.initialWindowBytes / 2)) return undefined;
    this.#granted = limit;
    this.#settle();
    return limit;
  }

  /** Nobody will read the rest: what still comes is counted, checked and dropped, so it needs no memory. */
  abandon(): void {
    this.#abandoned = true;
    this.#settle();
  }

  /** The stream is over: nothing more comes, and only what is still unread needs memory. Once. */
  close(): void {
    this.#budget.closeInitial(this.#initial);
    this.#initial = 0;
    this.#granted = this.#received;
    this.#settle();
  }

  /** Keeps what is reserved equal to what is promised beyond the initial window. */
  #settle(): void {
    const beyondInitial = this.#granted - this.#consumed - this.#initial;
    const wanted = this.#abandoned ? 0 : Math.max(0, beyondInitial);
    if (wanted > this.#reserved) this.#budget.reserve(wanted - this.#reserved);
    else this.#budget.release(this.#reserved - wanted);
    this.#reserved = wanted;
  }

  /**
   * The window follows twice what the reader took in one minimum round trip, and twice that while it takes more and more:
   * what a window made possible is seen only when the one after it was granted. So it doubles each round trip until the
   * path or the reader is the limit (as Linux predicts the growth of its receive buffer). Never by the round trip
   * under load: that grows with the very queues that a larger window would fill.
   */
  #grow(now: number, minRttMs: number | undefined): void {
    const { firstWindowBytes, maxWindowBytes } = this.#options;
    if (this.#target < firstWindowBytes) {
      this.#target = firstWindowBytes;
      this.#epochStart = now;
      this.#epochConsumed = this.#consumed;
      return;
    }
    const pathMs = Math.max(minRttMs ?? 0, TURN_MS);
    const elapsed = now - this.#epochStart;
    if (elapsed < pathMs) return;
    const perPath = ((this.#consumed - this.#epochConsumed) / elapsed) * pathMs;
    const wanted = headroom(perPath, this.#perPath) * perPath;
    this.#perPath = perPath;
    if (wanted > this.#target) this.#target = Math.min(Math.ceil(wanted), maxWindowBytes);
    this.#epochStart = now;
    this.#epochConsumed = this.#consumed;
  }
}
