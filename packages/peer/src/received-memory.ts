import { free, isFreeable, LARGE_BYTES } from "./spent-buffers.ts";

interface Block {
  /** Messages in it that nobody gave back. */
  messages: number;
  /** Was every byte of it parsed? Until then the WebSocket holds on to it. */
  isParsed: boolean;
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
  /** A chunk whose last bytes belong to a message that has not come yet. */
  #unfinished: ArrayBuffer | undefined;
  /** The last message since the last chunk, as delivered. */
  #last: Uint8Array | undefined;
  /** Did somebody else read along when one of the messages since the last chunk was delivered? */
  #isShared = false;

  /**
   * A message was delivered. Returns what to hand on: a small one must not pin the large chunk that it stands in.
   * @param isOurs Does nobody else read this socket? Asked for each message: a listener may be for once only.
   */
  message(message: Uint8Array, isOurs: boolean): Uint8Array {
    this.#last = message;
    if (!isOurs) this.#isShared = true;
    if (!isOurs || message.buffer.byteLength < LARGE_BYTES) return message;
    if (message.length < SMALL_BYTES) return new Uint8Array(message);
    const block = blocks.get(message.buffer);
    if (block === undefined) blocks.set(message.buffer, { messages: 1, isParsed: isFreeable(message) });
    else block.messages += 1;
    return message;
  }

  /** The WebSocket goes on to use `view`, of what is being read: the buffer that it stands in is the collector's. */
  keep(view: Uint8Array): void {
    if (view.buffer.byteLength < LARGE_BYTES) return;
    const block = blocks.get(view.buffer);
    if (block === undefined) blocks.set(view.buffer, { messages: 1, isParsed: false });
    else block.messages += 1;
  }

  /** `chunk` was read, and what could be parsed of it was delivered. */
  chunk(chunk: Uint8Array, isOurs: boolean): void {
    const last = this.#last;
    if (last === undefined) return; // a piece of a message: the WebSocket has it
    const isShared = this.#isShared || !isOurs;
    this.#last = undefined;
    this.#isShared = false;
    // A message that ends in a later chunk shows that the earlier one was parsed to its end.
    if (this.#unfinished !== undefined) parsed(this.#unfinished);
    this.#unfinished = undefined;
    if (isShared || !isFreeable(chunk)) return;
    const buffer = chunk.buffer as ArrayBuffer;
    if (!blocks.has(buffer)) blocks.set(buffer, { messages: 0, isParsed: false });
    const isWhole = last.buffer === buffer && last.byteOffset + last.length === buffer.byteLength;
    if (isWhole) parsed(buffer);
    else this.#unfinished = buffer;
  }
}

/** The part of a message that was handed on is not needed any more; call it once for each. Its memory may be gone then. */
export function giveBack(view: Uint8Array): void {
  if (view.length < SMALL_BYTES / 2) return;
  const block = blocks.get(view.buffer);
  if (block === undefined) return;
  block.messages -= 1;
  freeIfDone(view.buffer as ArrayBuffer, block);
}

function parsed(buffer: ArrayBuffer): void {
  const block = blocks.get(buffer);
  if (block === undefined) return;
  block.isParsed = true;
  freeIfDone(buffer, block);
}

function freeIfDone(buffer: ArrayBuffer, block: Block): void {
  if (block.messages > 0 || !block.isParsed) return;
  blocks.delete(buffer);
  free(buffer);
}

/** Copying this much costs less than what it would keep alive. */
const SMALL_BYTES = 2048;
