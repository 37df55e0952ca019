import { ChunkQueue } from "./chunk-queue.ts";
import { type ErrorCode, ProtocolError } from "./errors.ts";
import {
  encodeAccept,
  encodeEnd,
  encodeRefuse,
  encodeRelease,
  encodeReset,
  writeDataHeader,
} from "./frame.ts";
import type { ReceiveWindow } from "./receive-window.ts";
import { SendQueue, type SendQueueHost } from "./send-queue.ts";
import type { SendWindow } from "./send-window.ts";
import type { OpenRequest, Stream, StreamHandler } from "./stream.ts";

/** What a stream asks of the session that it belongs to. */
export interface StreamHost extends SendQueueHost {
  /** Queues a frame in the session's queue; `onNumbered` runs when it is handed to a transport. */
  control(frame: Uint8Array, onNumbered?: () => void): void;
  /** The stream has something for its turn. */
  activate(stream: StreamCore): void;
  /** A WINDOW of this stream should leave; its value is computed then. */
  windowDue(stream: StreamCore): void;
  /** The opener gives up before its OPEN left: no trace of it may leave. */
  cancelOpen(stream: StreamCore): void;
  /** The opener gave up while its OPEN is unanswered: its deadline is of no interest any more. */
  unwatch(stream: StreamCore): void;
  /** The opener's OPEN is answered. */
  answered(stream: StreamCore): void;
  /** Held data is to be delivered when the acceptor has its handler in place. */
  deliverLater(stream: StreamCore): void;
  /** Sent END or RESET and received END or RESET. */
  forget(stream: StreamCore): void;
  /** Time attached by `now`. */
  attachedMs(now: number): number;
  /** What came in that view is not needed: it was copied, or nobody wants it. */
  spent(view: Uint8Array): void;
  readonly writeHighWaterBytes: number;
  /** Written and not yet sent, of all streams together; kept by the streams. */
  queuedBytes: number;
}

/**
 * One stream may queue this many times its high water while all together queue little: a busy one then gives the
 * transport whole turns of the event loop, and a thousand that are stuck still cost no more than their high water each.
 */
const BURST = 8;

/** `waiting`: OPEN has not left. `asked`: it has (opener), it came (acceptor). `answered`: accept or refuse. */
type Opening = "waiting" | "asked" | "answered";
/**
 * `ending`: END waits behind the data. `resetting`: RESET or REFUSE waits in the session's queue. `retracting`: the
 * same after END was sent; then the peer may have forgotten the stream already, so this side must count it as it does.
 */
type Sending = "open" | "ending" | "ended" | "resetting" | "retracting" | "reset";
type Receiving = "open" | "ended" | "reset";

const SENDING_MOVES: Readonly<Record<Sending, readonly Sending[]>> = {
  open: ["ending", "resetting", "reset"],
  ending: ["ended", "resetting", "reset"],
  ended: ["retracting"],
  resetting: ["reset"],
  retracting: ["reset"],
  reset: [],
};

/** One stream, either side: its two directions, and when it may be forgotten (docs/protocol.md, "Streams"). */
export class StreamCore implements Stream {
  readonly id: number;
  readonly request: OpenRequest;
  readonly isOpener: boolean;
  readonly window: ReceiveWindow;
  /** When a waiting or asked open gives up, or the use of the window is looked at; the session's clocks. */
  deadline: number = Number.POSITIVE_INFINITY;
  /** The OPEN, until it leaves. */
  openFrame: Uint8Array | undefined;
  /** The number of the OPEN, from then on. */
  openNumber = 0;
  /** How often its answer was waited for once more, because the link and not the peer may have been at fault. */
  extensions = 0;
  /** The attachment, counted from 1, in which the answer to its OPEN was last waited for. */
  askedIn = 0;

  readonly #host: StreamHost;
  #handler: StreamHandler | undefined;
  #opening: Opening;
  #sending: Sending = "open";
  #receiving: Receiving = "open";
  /** The owner reset it, or the session ended: nobody listens any more. */
  #deaf = false;
  #onCancelled: (() => void) | undefined;
  /** The opener gave up, or the session ended, before this side answered. */
  #wasCancelled = false;
  readonly #queue: SendQueue;
  readonly #sendWindow: SendWindow;
  #blocked = false;
  /** Came before the handler was there. Gathered: a peer may send it byte by byte, and each must not cost an object. */
  #held: ChunkQueue | undefined;
  #heldEnd = false;

  constructor(
    host: StreamHost,
    id: number,
    request: OpenRequest,
    handler: StreamHandler | undefined,
    window: ReceiveWindow,
    sendWindow: SendWindow,
  ) {
    this.#host = host;
    this.id = id;
    this.request = request;
    this.isOpener = handler !== undefined;
    this.#handler = handler;
    this.#queue = new SendQueue(host);
    this.#opening = handler === undefined ? "asked" : "waiting";
    this.window = window;
    this.#sendWindow = sendWindow;
  }

  // -- the owner's side

  get writableBytes(): number {
    return this.#queue.bytes;
  }

  get isWaiting(): boolean {
    return this.#opening === "waiting";
  }

  get isUnanswered(): boolean {
    return this.#opening !== "answered";
  }

  /** Is the local side done with it, or the session over? */
  get isDeaf(): boolean {
    return this.#deaf;
  }

  attachedMs(now: number): number {
    return this.#host.attachedMs(now);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#sending !== "open" || this.#deaf) return true;
    this.#queue.push(chunk);
    this.#host.queuedBytes += chunk.length;
    if (this.isSendable) this.#host.activate(this);
    this.#blocked = this.#isFull;
    return !this.#blocked;
  }

  get isCrowded(): boolean {
    const { writeHighWaterBytes, queuedBytes } = this.#host;
    return queuedBytes >= 2 * BURST * writeHighWaterBytes;
  }

  get #isFull(): boolean {
    const { writeHighWaterBytes } = this.#host;
    return this.#queue.bytes >= writeHighWaterBytes * (this.isCrowded ? 1 : BURST);
  }

  end(): void {
    if (this.#sending !== "open" || this.#deaf) return;
    this.#move("ending");
    if (this.isSendable) this.#host.activate(this);
  }

  reset(code: ErrorCode): void {
    if (this.#deaf) {
      this.window.abandon(); // it ended in good order, but its owner will not take the rest of what arrived
      return;
    }
    this.#silence();
    if (this.#opening === "asked" && this.isOpener) this.#host.unwatch(this);
    if (this.#opening === "waiting") {
      this.#move("reset");
      this.#host.cancelOpen(this);
      return;
    }
    const { [this.#sending]: moves } = SENDING_MOVES;
    if (!moves.includes("resetting") && !moves.includes("retracting")) return;
    this.#sendReset(encodeReset(this.id, code));
  }

  consumed(bytes: number): void {
    const due = this.window.consume(bytes);
    if (due && this.wantsWindow) this.#host.windowDue(this);
  }

  // -- the acceptor's answer

  get isCancelled(): boolean {
    return this.#deaf || this.#opening === "answered";
  }

  set onCancelled(callback: (() => void) | undefined) {
    // Who asks a policy first may set it late, and must not dial for nobody.
    if (this.#wasCancelled) callback?.();
    else this.#onCancelled = callback;
  }

  accept(handler: StreamHandler): void {
    if (this.isCancelled) return;
    this.#opening = "answered";
    this.#handler = handler;
    this.#onCancelled = undefined;
    this.#host.answered(this);
    this.#host.control(encodeAccept(this.id));
    if (this.#held !== undefined || this.#heldEnd) this.#host.deliverLater(this);
  }

  refuse(code: ErrorCode): void {
    if (this.isCancelled) return;
    this.#opening = "answered";
    this.#onCancelled = undefined;
    this.#host.answered(this);
    this.#silence();
    this.#sendReset(encodeRefuse(this.id, code));
  }

  /** What came before the handler was there. */
  deliverHeld(): void {
    const held = this.#held?.takeAll() ?? [];
    this.#held = undefined;
    for (const chunk of held) {
      if (this.#deaf) return;
      this.#handler?.onData(chunk);
    }
    if (!this.#heldEnd || this.#deaf) return;
    this.#heldEnd = false;
    this.#handler?.onEnd();
    this.#settle();
  }

  // -- the transport's side, outwards

  get isSendable(): boolean {
    if (this.#opening === "waiting" || (!this.isOpener && this.#opening !== "answered")) return false;
    if (this.#sending === "ending" && this.#queue.bytes === 0) return true;
    const open = this.#sending === "open" || this.#sending === "ending";
    return open && this.#queue.bytes > 0 && this.#sendWindow.room > 0;
  }

  /** OPEN left: data may follow at once (0-RTT). */
  asked(): void {
    this.#opening = "asked";
    if (this.isSendable) this.#host.activate(this);
  }

  /** Bytes of payload that the next frame would carry; 0 for END. Only when sendable. */
  nextPayload(most: number): number {
    return this.#queue.nextPayload(Math.min(this.#sendWindow.room, most));
  }

  /** The next DATA of exactly `length` bytes, or END when that is 0. */
  takeFrame(length: number): Uint8Array {
    if (length === 0) {
      const end = encodeEnd(this.id, this.#sendWindow.sent);
      this.#move("ended");
      return end;
    }
    const frame = this.#queue.take(length);
    writeDataHeader(frame, this.id, this.#sendWindow.sent);
    this.#host.queuedBytes -= length;
    this.#sendWindow.advance(length);
    return frame;
  }

  /** After a frame was taken and numbered: callbacks, when the bookkeeping of the session is consistent again. */
  afterFrame(): void {
    if (this.#sending === "ended") {
      this.#settle();
      return;
    }
    if (this.#blocked && this.#queue.bytes * 2 <= this.#host.writeHighWaterBytes) {
      this.#blocked = false;
      if (!this.#deaf) this.#handler?.onWritable?.();
    }
  }

  /**
   * How the window that the peer granted was used since the last call; `surplus`: not at all, and it is larger than that
   * of a new stream.
   */
  useOfWindow(): "busy" | "surplus" | "none" {
    if (this.#sendWindow.wasUsed() || this.#queue.bytes > 0) return "busy";
    return this.#canRelease ? "surplus" : "none";
  }

  get #canRelease(): boolean {
    const isOpen = this.#sending === "open" && this.#opening === "answered";
    return isOpen && this.#queue.bytes === 0 && this.#sendWindow.hasSurplus;
  }

  /** The RELEASE of what the stream does not use; undefined when it uses it by now. */
  takeRelease(): Uint8Array | undefined {
    return this.#canRelease ? encodeRelease(this.id, this.#sendWindow.release()) : undefined;
  }

  get wantsWindow(): boolean {
    return this.#receiving === "open" && !this.#deaf && this.#opening === "answered";
  }

  // -- the transport's side, inwards

  receiveAccept(): void {
    if (!this.isOpener || this.#opening !== "asked") throw new ProtocolError("unexpected_frame", "ACCEPT");
    this.#opening = "answered";
    this.#host.answered(this);
    if (!this.#deaf) this.#handler?.onAccept?.();
  }

  receiveRefuse(code: ErrorCode): void {
    if (!this.isOpener || this.#opening !== "asked") throw new ProtocolError("unexpected_frame", "REFUSE");
    this.receiveReset(code);
  }

  receiveData(offset: number, payload: Uint8Array): void {
    this.#mustReceive("DATA");
    this.window.receive(offset, payload.length);
    if (payload.length === 0) return;
    if (!this.#deaf && !this.#isHolding) {
      this.#handler?.onData(payload);
      return;
    }
    // A held chunk may wait for a whole dial: it must not pin the large buffer that it is a view of.
    if (!this.#deaf) {
      this.#held ??= new ChunkQueue();
      this.#held.push(new Uint8Array(payload));
    }
    this.#host.spent(payload);
  }

  receiveEnd(total: number): void {
    this.#mustReceive("END");
    this.window.receiveEnd(total);
    this.#receiving = "ended";
    if (!this.#deaf && this.#isHolding) this.#heldEnd = true;
    else if (!this.#deaf) this.#handler?.onEnd();
    this.#settle();
  }

  receiveReset(code: ErrorCode): void {
    if (this.#receiving === "reset") return;
    // What came before it, and waits for the handler, comes first.
    if (this.#opening === "answered" && !this.#deaf) this.deliverHeld();
    const receivedAll = this.#receiving === "ended" && !this.#heldEnd;
    this.#receiving = "reset";
    const unanswered = this.#opening === "asked";
    this.#opening = "answered";
    if (unanswered) this.#host.answered(this);
    const handler = this.#handler;
    const cancelled = unanswered && !this.isOpener ? this.#onCancelled : undefined;
    this.#wasCancelled = unanswered && !this.isOpener;
    const wasDeaf = this.#deaf;
    this.#silence();
    if (this.#sending === "open" || this.#sending === "ending") this.#sendReset(encodeReset(this.id, code));
    this.#settle();
    if (wasDeaf) return;
    if (cancelled !== undefined) cancelled();
    else handler?.onReset(code, receivedAll);
  }

  /** Returns false when it says nothing new. @throws ProtocolError `bad_window`. */
  receiveWindow(limit: number): boolean {
    const isNews = this.#sendWindow.raise(limit);
    if (this.isSendable) this.#host.activate(this);
    return isNews;
  }

  /** Returns false when it says nothing new. @throws ProtocolError `bad_window`, `unexpected_frame`. */
  receiveRelease(limit: number): boolean {
    this.#mustReceive("RELEASE");
    return this.window.release(limit);
  }

  /** The session gives this stream up by itself (a deadline): as if the peer had reset it, and the peer is told. */
  giveUp(code: ErrorCode): void {
    if (this.#deaf) return;
    const handler = this.#handler;
    this.reset(code);
    handler?.onReset(code, false);
  }

  /** The session is over: whatever is not whole by now never will be. */
  sessionEnded(code: ErrorCode): void {
    if (this.#deaf) return;
    const receivedAll = this.#receiving === "ended" && !this.#heldEnd;
    const cancelled = this.isOpener || this.#opening === "answered" ? undefined : this.#onCancelled;
    this.#wasCancelled = !this.isOpener && this.#opening !== "answered";
    const handler = this.#handler;
    this.#silence();
    if (cancelled !== undefined) cancelled();
    else handler?.onReset(code, receivedAll);
  }

  /** Must what comes wait, because the handler is not there or has not got what came before? */
  get #isHolding(): boolean {
    return this.#opening !== "answered" || this.#held !== undefined;
  }

  #mustReceive(name: string): void {
    if (this.#receiving !== "open") throw new ProtocolError("unexpected_frame", `${name} after END or RESET`);
    if (this.isOpener && this.#opening !== "answered")
      throw new ProtocolError("unexpected_frame", `${name} before ACCEPT`);
  }

  #silence(): void {
    this.#deaf = true;
    this.#onCancelled = undefined;
    this.#host.queuedBytes -= this.#queue.bytes;
    this.#queue.clear();
    this.#held = undefined;
    this.window.abandon();
  }

  #sendReset(frame: Uint8Array): void {
    this.#move(this.#sending === "ended" ? "retracting" : "resetting");
    this.#host.control(frame, () => {
      this.#move("reset");
      this.#settle();
    });
  }

  #settle(): void {
    const sent = this.#sending === "ended" || this.#sending === "retracting" || this.#sending === "reset";
    if (!sent || this.#receiving === "open") return;
    this.#host.forget(this);
    if (this.#sending !== "ended" || this.#receiving !== "ended" || this.#deaf || this.#heldEnd) return;
    const handler = this.#handler;
    this.#deaf = true;
    handler?.onFinished?.();
  }

  #move(to: Sending): void {
    if (!SENDING_MOVES[this.#sending].includes(to))
      throw new Error(`stream ${this.id}: ${this.#sending} -> ${to}`);
    this.#sending = to;
  }
}
