/** One call, later, in this or the next turns of the event loop; at most one is due at a time. */
export class Wake {
  readonly #run: () => void;
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(run: () => void) {
    this.#run = run;
  }

  get isArmed(): boolean {
    return this.#cancel !== undefined;
  }

  /**
   * Arms it, for the next turn of the event loop or for `ms` from now. Does not keep the process alive for longer
   * than a turn: the sockets that it serves do.
   */
  after(ms: number): void {
    this.cancel();
    if (this.#closed) return;
    const fire = (): void => {
      this.#cancel = undefined;
      this.#run();
    };
    if (ms <= 0) {
      // Never unref'd: such an immediate waits until something else ends the poll for events.
      const immediate = setImmediate(fire);
      this.#cancel = () => clearImmediate(immediate);
    } else {
      const timer = setTimeout(fire, Math.ceil(ms)).unref();
      this.#cancel = () => clearTimeout(timer);
    }
  }

  cancel(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Cancels it for good. */
  close(): void {
    this.#closed = true;
    this.cancel();
  }
}
