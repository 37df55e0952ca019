import { DATA_HEADER_BYTES } from "./frame.ts";
import type { FrameMemory } from "./frame-memory.ts";

/** What all streams of a session share. */
export interface SendQueueHost {
  /** Of the largest frame, bytes. */
  readonly maxPayloadBytes: number;
  readonly memory: FrameMemory;
}

/** Memory of a frame that is being filled: room for the header, then payload. */
interface Draft {
  readonly memory: Uint8Array;
  /** Of the payload that has not left. */
  start: number;
  end: number;
}

/**
 * What a stream wrote and did not send yet. Copied on the way in, once and for all, to where its frame will be: the writer may use
 * its memory again at once, and a frame that leaves as it was filled is copied no more. Small writes share drafts that grow with
 * what waits, so that a million writes of one byte cost a few blocks and a few bytes cost no large one.
 */
export class SendQueue {
  readonly #host: SendQueueHost;
  #drafts: Draft[] = NONE;
  #first = 0;
  #bytes = 0;

  constructor(host: SendQueueHost) {
    this.#host = host;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Memory that is kept alive, bytes. */
  get retainedBytes(): number {
    return this.#drafts.slice(this.#first).reduce((sum, { memory }) => sum + memory.buffer.byteLength, 0);
  }

  /** Copies `chunk`. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      const draft = this.#tail(chunk.length - at);
      const length = Math.min(chunk.length - at, draft.memory.length - draft.end);
      const isAll = length === chunk.length;
      draft.memory.set(isAll ? chunk : chunk.subarray(at, at + length), draft.end);
      draft.end += length;
      at += length;
      this.#bytes += length;
    }
  }

  /** The last draft, which has room; one for `needed` bytes or a part of them. */
  #tail(needed: number): Draft {
    const last = this.#drafts[this.#drafts.length - 1];
    if (last !== undefined && last.end < last.memory.length) return last;
    // As large as what waits already, so that all costs at most twice what it counts; what stands alone costs its own size.
    const most = this.#bytes === 0 ? needed : Math.max(FIRST_DRAFT_BYTES, this.#bytes, needed);
    const length = DATA_HEADER_BYTES + Math.min(most, this.#host.maxPayloadBytes);
    const draft = {
      memory: this.#host.memory.allocate(length),
      start: DATA_HEADER_BYTES,
      end: DATA_HEADER_BYTES,
    };
    if (this.#drafts === NONE) this.#drafts = [];
    this.#drafts.push(draft);
    return draft;
  }

  /**
   * Bytes of payload that the next frame should carry, `most` at the most; 0 only when nothing waits, or `most` is 0. Of a draft that
   * was cut the rest goes alone where large frames may leave: with a part of the next one, that would be cut as well, and so on.
   */
  nextPayload(most: number): number {
    const head = this.#drafts[this.#first];
    if (head === undefined) return 0;
    const left = head.end - head.start;
    const isCut = head.start > DATA_HEADER_BYTES;
    return isCut && left < most && most >= this.#host.maxPayloadBytes ? left : Math.min(this.#bytes, most);
  }

  /** Takes out a frame with `length` bytes of payload, at most what waits; its header is still to be written. */
  take(length: number): Uint8Array {
    this.#bytes -= length;
    const head = this.#drafts[this.#first] as Draft;
    if (head.end - head.start === length && isDense(head)) {
      this.#shift();
      const { memory, start, end } = head;
      const isWhole = start === DATA_HEADER_BYTES && end === memory.length;
      return isWhole ? memory : memory.subarray(start - DATA_HEADER_BYTES, end);
    }
    const frame = this.#host.memory.allocate(DATA_HEADER_BYTES + length);
    let at = DATA_HEADER_BYTES;
    while (at < frame.length) {
      const draft = this.#drafts[this.#first] as Draft;
      const part = Math.min(frame.length - at, draft.end - draft.start);
      frame.set(draft.memory.subarray(draft.start, draft.start + part), at);
      draft.start += part;
      at += part;
      if (draft.start < draft.end) continue;
      this.#shift();
      this.#host.memory.release(draft.memory);
    }
    return frame;
  }

  clear(): void {
    for (let i = this.#first; i < this.#drafts.length; i += 1) {
      this.#host.memory.release((this.#drafts[i] as Draft).memory);
    }
    this.#drafts = NONE;
    this.#first = 0;
    this.#bytes = 0;
  }

  #shift(): void {
    this.#first += 1;
    if (this.#first === this.#drafts.length) {
      this.#drafts = NONE;
      this.#first = 0;
    } else if (this.#first >= SPENT) {
      this.#drafts = this.#drafts.slice(this.#first);
      this.#first = 0;
    }
  }
}

/** Does the frame use its memory well enough to leave in it? */
function isDense({ memory, start, end }: Draft): boolean {
  const length = end - start + DATA_HEADER_BYTES;
  return length === memory.length || (length >= LARGE_BYTES && length * 2 > memory.length);
}

/** Of all queues that are empty: an idle stream needs no array of its own. */
const NONE: Draft[] = [];
const FIRST_DRAFT_BYTES = 1024;
/** From here on copying costs more than memory that is not used. */
const LARGE_BYTES = 4096;
const SPENT = 64;
