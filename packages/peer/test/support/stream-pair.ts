import type { ErrorCode, OpenRequest, Stream, StreamHandler } from "@culvert/protocol";

export interface StreamPairOptions {
  /** What may be on its way or in the receiver's hands at once. */
  readonly windowBytes?: number;
  /** What may be queued before `write` returns false. */
  readonly highWaterBytes?: number;
  readonly frameBytes?: number;
}

/**
 * Two ends of one stream, with real windows and without a session: what the core promises of a stream, in its plainest
 * form. Everything arrives in order and in a later turn of the event loop.
 */
export class PairedStream implements Stream {
  readonly id: number;
  readonly request: OpenRequest = { kind: "tcp" };
  handler: StreamHandler | undefined;
  writableBytes = 0;
  /** Bytes received, bytes consumed, and the most that lay between the two. */
  received = 0;
  consumedBytes = 0;
  mostUnconsumed = 0;

  readonly #options: Required<StreamPairOptions>;
  #peer: PairedStream | undefined;
  readonly #queue: Uint8Array[] = [];
  #credit: number;
  #isBlocked = false;
  #sending: "open" | "ending" | "ended" = "open";
  #hasReceivedEnd = false;
  #isOver = false;
  readonly #inbox: ((end: PairedStream) => void)[] = [];

  private constructor(id: number, options: StreamPairOptions) {
    this.id = id;
    this.#options = { windowBytes: 65_536, highWaterBytes: 65_536, frameBytes: 32_768, ...options };
    this.#credit = this.#options.windowBytes;
  }

  static pair(options: StreamPairOptions = {}): [opener: PairedStream, acceptor: PairedStream] {
    const [opener, acceptor] = [new PairedStream(1, options), new PairedStream(1, options)];
    opener.#peer = acceptor;
    acceptor.#peer = opener;
    return [opener, acceptor];
  }

  get isSendable(): boolean {
    return this.writableBytes > 0 && this.#credit > 0;
  }

  readonly isCrowded = false;

  attachedMs(now: number): number {
    return now;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#sending !== "open" || this.#isOver) return true;
    this.#queue.push(new Uint8Array(chunk));
    this.writableBytes += chunk.length;
    this.#pump();
    this.#isBlocked = this.writableBytes >= this.#options.highWaterBytes;
    return !this.#isBlocked;
  }

  end(): void {
    if (this.#sending !== "open" || this.#isOver) return;
    this.#sending = "ending";
    this.#pump();
  }

  reset(code: ErrorCode): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#post((end) => end.#receiveReset(code));
  }

  consumed(bytes: number): void {
    this.consumedBytes += bytes;
    if (this.consumedBytes > this.received) throw new Error("consumed more than was received");
    this.#post((end) => {
      end.#credit += bytes;
      end.#pump();
    });
  }

  /** The answer of the peer to the open. */
  accept(): void {
    this.#post((end) => end.handler?.onAccept?.());
  }

  #pump(): void {
    while (this.#queue.length > 0 && this.#credit > 0) {
      const head = this.#queue[0]!;
      const frame = head.subarray(0, Math.min(this.#credit, this.#options.frameBytes));
      if (frame.length === head.length) this.#queue.shift();
      else this.#queue[0] = head.subarray(frame.length);
      this.#credit -= frame.length;
      this.writableBytes -= frame.length;
      this.#post((end) => end.#receiveData(frame));
    }
    if (this.#queue.length === 0 && this.#sending === "ending") {
      this.#sending = "ended";
      this.#post((end) => end.#receiveEnd());
      this.#settle();
    }
    if (!this.#isBlocked || this.writableBytes * 2 > this.#options.highWaterBytes) return;
    this.#isBlocked = false;
    setImmediate(() => {
      if (!this.#isOver) this.handler?.onWritable?.();
    });
  }

  #receiveData(frame: Uint8Array): void {
    this.received += frame.length;
    this.mostUnconsumed = Math.max(this.mostUnconsumed, this.received - this.consumedBytes);
    if (!this.#isOver) this.handler?.onData(frame);
  }

  #receiveEnd(): void {
    this.#hasReceivedEnd = true;
    if (!this.#isOver) this.handler?.onEnd();
    this.#settle();
  }

  #receiveReset(code: ErrorCode): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.handler?.onReset(code, this.#hasReceivedEnd);
  }

  #settle(): void {
    if (this.#isOver || this.#sending !== "ended" || !this.#hasReceivedEnd) return;
    this.#isOver = true;
    setImmediate(() => this.handler?.onFinished?.());
  }

  #post(message: (end: PairedStream) => void): void {
    const inbox = this.#peer!.#inbox;
    inbox.push(message);
    if (inbox.length > 1) return;
    setImmediate(() => {
      for (const each of inbox.splice(0)) each(this.#peer!);
    });
  }
}
