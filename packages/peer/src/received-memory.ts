import type { BlockPool } from "./block-pool.ts";
import { free, isFreeable, LARGE_BYTES } from "./own-memory.ts";

/** Memory that messages stand in, and when it is free again. */
interface Block {
  /** Who needs it: each message that nobody gave back, the WebSocket for a part of one that it keeps, and who reads into it. */
  holds: number;
  /** Where it goes back to; undefined: it is freed. */
  readonly home: BlockPool | undefined;
  /** Is it one message, and nothing else? */
  readonly isMessage: boolean;
}

/** Of every transport: a message does not tell which one it came through. */
const blocks = new WeakMap<ArrayBufferLike, Block>();

/**
 * Frees what a transport reads as soon as the last message in it was given back ({@link giveBack}), without waiting for the
 * collector. Messages are views of the chunk that was read, or a buffer of their own when they came in pieces. Nobody must
 * give anything back: what is kept is kept, and is the collector's business as ever.
 *
 * Relies on the order of events: all messages that end in a chunk are delivered (`message`) before that chunk is reported
 * (`chunk`), which holds with the option `allowSynchronousEvents` of ws (its default), without compression, and with a
 * 'data' listener behind the one of ws.
 */
export class ReceivedMemory {
  /** Of chunks whose last bytes belong to a message that has not come yet. */
  #unfinished: ArrayBuffer[] = NONE;
  /** The last message since the last chunk, as delivered. */
  #last: Uint8Array | undefined;
  /** Did somebody else read along when one of the messages since the last chunk was delivered? */
  #isShared = false;

  /** Chunks will stand in `memory`, of `home`, where it goes back to some time after {@link doneReading}. */
  reading(memory: Uint8Array, home: BlockPool): void {
    blocks.set(memory.buffer, { holds: 1, home, isMessage: false });
  }

  /**
   * A message was delivered. Returns what to hand on: a small one must not pin the large chunk that it stands in.
   * @param isOurs Does nobody else read this socket? Asked for each message: a listener may be for once only.
   */
  message(message: Uint8Array, isOurs: boolean): Uint8Array {
    this.#last = message;
    if (!isOurs) this.#isShared = true;
    if (message.buffer.byteLength < LARGE_BYTES) return message;
    // Where somebody else reads along, nobody's giving back may let go of what the reader holds.
    if (!isOurs || message.length < SMALL_BYTES) return new Uint8Array(message);
    hold(message.buffer, isFreeable(message));
    return message;
  }

  /** The WebSocket goes on to use `view`, of what is being read: the buffer that it stands in is the collector's. */
  keep(view: Uint8Array): void {
    if (view.buffer.byteLength < LARGE_BYTES) return;
    hold(view.buffer, false);
  }

  /** `chunk` was read, and what could be parsed of it was delivered. */
  chunk(chunk: Uint8Array, isOurs: boolean): void {
    const last = this.#last;
    const isShared = this.#isShared || !isOurs;
    const buffer = chunk.buffer as ArrayBuffer;
    this.#last = undefined;
    this.#isShared = false;
    // A message that ends in a later chunk shows that the earlier ones were parsed to their end.
    if (last !== undefined && this.#unfinished !== NONE) {
      for (const earlier of this.#unfinished) letGo(earlier);
      this.#unfinished = NONE;
    }
    // Whoever else listens may keep it, for ever: it is the collector's.
    if (isShared) blocks.set(buffer, { holds: Number.POSITIVE_INFINITY, home: undefined, isMessage: false });
    else if (blocks.get(buffer)?.home !== undefined || isFreeable(chunk)) this.#readThrough(chunk, last);
  }

  #readThrough(chunk: Uint8Array, last: Uint8Array | undefined): void {
    const buffer = chunk.buffer as ArrayBuffer;
    const block = blocks.get(buffer) ?? { holds: 1, home: undefined, isMessage: false };
    blocks.set(buffer, block);
    if (block.isMessage) return;
    const end = chunk.byteOffset + chunk.length;
    const isWhole = last?.buffer === buffer && last.byteOffset + last.length === end;
    if (isWhole) {
      if (block.home === undefined) letGo(buffer);
      return;
    }
    // The reader's hold is its own.
    if (block.home !== undefined) block.holds += 1;
    if (this.#unfinished === NONE) this.#unfinished = [];
    this.#unfinished.push(buffer);
    // No message has that many pieces. Nothing but pongs comes, or what stands behind a Close, and what is held stays held: it
    // is the collector's, as soon as ws is done with it.
    if (this.#unfinished.length > MOST_UNFINISHED) this.#unfinished = NONE;
  }
}

/** The part of a message that was handed on is not needed any more; call it once for each. Its memory may be gone then. */
export function giveBack(view: Uint8Array): void {
  if (view.length < SMALL_BYTES / 2) return;
  letGo(view.buffer);
}

/** Nothing is read into `memory` any more. */
export function doneReading(memory: Uint8Array): void {
  letGo(memory.buffer);
}

function hold(buffer: ArrayBufferLike, isMessage: boolean): void {
  const block = blocks.get(buffer);
  if (block !== undefined) block.holds += 1;
  // Of a chunk the WebSocket has a hold as well: it is not through with it.
  else blocks.set(buffer, { holds: isMessage ? 1 : 2, home: undefined, isMessage });
}

function letGo(buffer: ArrayBufferLike): void {
  const block = blocks.get(buffer);
  if (block === undefined) return;
  block.holds -= 1;
  if (block.holds > 0) return;
  blocks.delete(buffer);
  if (block.home === undefined) free(buffer as ArrayBuffer);
  else block.home.give(new Uint8Array(buffer));
}

/** The largest message is 128 KiB, and what is noted is 16 KiB long at the least. */
const MOST_UNFINISHED = 16;
/** Of all transports that are between two messages. */
const NONE: ArrayBuffer[] = [];

/** Copying this much costs less than what it would keep alive. */
const SMALL_BYTES = 2048;
