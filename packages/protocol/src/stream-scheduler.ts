/** What the scheduler needs of a stream. */
export interface Schedulable {
  /** Has it anything that may leave now? */
  readonly isSendable: boolean;
}

interface Slot<T> {
  readonly stream: T;
  deficit: number;
}

/**
 * Deficit round robin over the streams that have something to send (Shreedhar and Varghese, 1995), with two rings as in
 * fq_codel (RFC 8290 section 4.1): a stream that became active goes before those that have been sending for long, once.
 * So a keystroke does not wait behind bulk, and nobody gains by stopping and starting: an emptied new stream waits a
 * turn among the old ones.
 */
export class StreamScheduler<T extends Schedulable> {
  /** How many bytes a turn is; may change between turns. */
  quantumBytes: number;
  readonly #new: Slot<T>[] = [];
  #old: Slot<T>[] = [];
  #oldHead = 0;
  readonly #slots = new Map<T, Slot<T>>();

  constructor(quantumBytes: number) {
    this.quantumBytes = quantumBytes;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** The stream has something to send; does nothing when it is already in. */
  activate(stream: T): void {
    if (this.#slots.has(stream)) return;
    const slot = { stream, deficit: this.quantumBytes };
    this.#slots.set(stream, slot);
    this.#new.push(slot);
  }

  /**
   * The stream whose turn it is; undefined when none can send. It may send one frame, also one that is larger than what is left of its
   * turn: that is taken off the next one. Call `spend` with what left.
   */
  next(): T | undefined {
    for (;;) {
      const fromNew = this.#new.length > 0;
      const slot = fromNew ? this.#new[0] : this.#old[this.#oldHead];
      if (slot === undefined) return undefined;
      if (slot.deficit <= 0) {
        slot.deficit += this.quantumBytes;
        this.#dropHead(fromNew);
        this.#old.push(slot);
      } else if (slot.stream.isSendable) {
        return slot.stream;
      } else {
        this.#dropHead(fromNew);
        if (fromNew) this.#old.push(slot);
        else this.#slots.delete(slot.stream);
      }
    }
  }

  spend(stream: T, bytes: number): void {
    const slot = this.#slots.get(stream);
    if (slot !== undefined) slot.deficit -= bytes;
  }

  #dropHead(fromNew: boolean): void {
    if (fromNew) {
      this.#new.shift();
      return;
    }
    this.#oldHead += 1;
    if (this.#oldHead >= 256 && this.#oldHead * 2 >= this.#old.length) {
      this.#old = this.#old.slice(this.#oldHead);
      this.#oldHead = 0;
    }
  }
}
