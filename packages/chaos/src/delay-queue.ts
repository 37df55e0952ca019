/** What an entry costs besides its bytes, so that many tiny chunks do not pass for nothing. */
const ENTRY_BYTES = 256;

interface Entry {
  chunk: Buffer;
  /** When it may leave, in ms of the monotonic clock. */
  due: number;
}

/** The bytes of one direction that wait, first in first out, each chunk until its time. Bounded by who fills it. */
export class DelayQueue {
  #entries: Entry[] = [];
  /** Entries before this index are gone; the array is shortened now and then, which makes taking O(1). */
  #first = 0;
  #bytes = 0;
  #lastDue = 0;

  /** Payload bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What the queue counts for against a bound: payload and a fixed part per chunk. */
  get cost(): number {
    return this.#bytes + (this.#entries.length - this.#first) * ENTRY_BYTES;
  }

  get isEmpty(): boolean {
    return this.#first === this.#entries.length;
  }

  /** When the first chunk may leave; undefined if none waits. */
  get due(): number | undefined {
    return this.#entries[this.#first]?.due;
  }

  /** Length of the first chunk; 0 if none waits. */
  get headBytes(): number {
    return this.#entries[this.#first]?.chunk.length ?? 0;
  }

  /** Appends. A time before that of the chunk in front is raised to it: no byte overtakes another. */
  push(chunk: Buffer, due: number): void {
    this.#lastDue = this.inOrder(due);
    this.#entries.push({ chunk, due: this.#lastDue });
    this.#bytes += chunk.length;
  }

  /** The earliest time, from `due` on, that is not before anything that waits. */
  inOrder(due: number): number {
    return this.isEmpty ? due : Math.max(due, this.#lastDue);
  }

  /** Removes and returns the first `bytes` (at least 1, at most {@link headBytes}) of the first chunk. No copy. */
  take(bytes: number): Buffer {
    const entry = this.#entries[this.#first];
    if (entry === undefined) throw new RangeError("the queue is empty");
    this.#bytes -= bytes;
    if (bytes < entry.chunk.length) {
      const part = entry.chunk.subarray(0, bytes);
      entry.chunk = entry.chunk.subarray(bytes);
      return part;
    }
    this.#first++;
    if (this.#first === this.#entries.length || this.#first >= 1024) {
      this.#entries.splice(0, this.#first);
      this.#first = 0;
    }
    return entry.chunk;
  }

  /** Lets everything leave no later than `due`: the delay became shorter. */
  hasten(due: number): void {
    this.#lastDue = Math.min(this.#lastDue, due);
    for (let i = this.#first; i < this.#entries.length; i++) {
      const entry = this.#entries[i] as Entry;
      if (entry.due > due) entry.due = due;
    }
  }

  /** Throws everything away and returns how many bytes that were. */
  clear(): number {
    const bytes = this.#bytes;
    this.#entries = [];
    this.#first = 0;
    this.#bytes = 0;
    return bytes;
  }
}
