import { DeadlineQueue } from "./deadline-queue.ts";
import { CulvertError, ProtocolError } from "./errors.ts";
import { encodeOpen } from "./frame.ts";
import { MAX_STREAM_ID, type SessionLimits } from "./limits.ts";
import { type ReceiveBudget, ReceiveWindow } from "./receive-window.ts";
import { SendWindow } from "./send-window.ts";
import type { SessionOptions } from "./session-options.ts";
import type { OpenRequest, StreamHandler } from "./stream.ts";
import { StreamCore, type StreamHost } from "./stream-core.ts";

/** The streams of a session: ids, limits in both directions, and the opens that wait. */
export class StreamTable {
  readonly #host: StreamHost;
  readonly #options: SessionOptions;
  readonly #peerLimits: SessionLimits;
  readonly #budget: ReceiveBudget;
  readonly #streams = new Map<number, StreamCore>();
  /** Parity by role, so that both sides may open at once: odd for the client, even for the server. */
  #nextOwnId: number;
  #highestOwnAsked = 0;
  #highestPeerId = 0;
  readonly #peerParity: number;

  /** Streams that this side opened, whose OPEN has left, and which are not forgotten. */
  #ownLive = 0;
  #ownUnanswered = 0;
  #peerLive = 0;
  #peerUnanswered = 0;

  readonly #waiting = new DeadlineQueue<StreamCore>();
  readonly #asked = new DeadlineQueue<StreamCore>();
  /** Those that were granted a window, each until it is seen that they do not use it. */
  readonly #granted = new DeadlineQueue<StreamCore>();

  constructor(
    host: StreamHost,
    role: "client" | "server",
    options: SessionOptions,
    peerLimits: SessionLimits,
    budget: ReceiveBudget,
  ) {
    this.#host = host;
    this.#options = options;
    this.#peerLimits = peerLimits;
    this.#budget = budget;
    this.#nextOwnId = role === "client" ? 1 : 2;
    this.#peerParity = role === "client" ? 0 : 1;
  }

  get live(): number {
    return this.#streams.size;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  all(): StreamCore[] {
    return [...this.#streams.values()];
  }

  // -- opening

  /** A new stream of ours; its OPEN waits for `nextOpen`. @throws CulvertError `stream_limit`, `resource_exhausted`. */
  open(request: OpenRequest, handler: StreamHandler, deadline: number, mostWaiting: number): StreamCore {
    if (this.#waiting.size >= mostWaiting)
      throw new CulvertError("stream_limit", `${mostWaiting} opens wait already`);
    const id = this.#nextOwnId;
    if (id > MAX_STREAM_ID)
      throw new CulvertError("stream_limit", "all stream ids of this session are used up");
    if (!this.hasRoom)
      throw new CulvertError("resource_exhausted", "the memory for all sessions is nearly taken");
    const frame = encodeOpen(id, request); // before anything is changed: it may be refused
    this.#nextOwnId += 2;
    const stream = this.#create(id, request, handler, true);
    stream.openFrame = frame;
    stream.deadline = deadline;
    this.#waiting.push(stream);
    return stream;
  }

  /** Is there memory for one more stream? */
  get hasRoom(): boolean {
    return this.#budget.hasRoomFor(this.#options.initialWindowBytes);
  }

  /** The open that may leave now, within what the peer announced. */
  nextOpen(): StreamCore | undefined {
    const { maxStreams, maxPendingOpens } = this.#peerLimits;
    if (this.#ownLive >= maxStreams || this.#ownUnanswered >= maxPendingOpens) return undefined;
    return this.#waiting.first;
  }

  /** The OPEN that `nextOpen` gave was handed to a transport. `deadline` is for the peer's answer. */
  opened(stream: StreamCore, deadline: number): void {
    this.#waiting.delete(stream);
    stream.openFrame = undefined;
    this.#ownLive += 1;
    this.#ownUnanswered += 1;
    this.#highestOwnAsked = stream.id;
    stream.deadline = deadline;
    this.#asked.push(stream);
    stream.asked();
  }

  cancelOpen(stream: StreamCore): void {
    if (this.#streams.delete(stream.id)) stream.window.close();
    this.#waiting.delete(stream);
  }

  /** The owner gave up before the peer answered: nobody waits for the answer any more. */
  unwatch(stream: StreamCore): void {
    this.#asked.delete(stream);
  }

  get waitingDeadline(): number {
    return this.#waiting.deadline;
  }

  get askedDeadline(): number {
    return this.#asked.deadline;
  }

  /** Opens that waited too long for their turn. */
  expiredWaiting(now: number): StreamCore[] {
    return this.#waiting.takeExpired(now);
  }

  /** Opens that the peer did not answer in time. */
  expiredAsked(now: number): StreamCore[] {
    return this.#asked.takeExpired(now);
  }

  /** Waits for the peer's answer once more. */
  askAgain(stream: StreamCore, deadline: number): void {
    stream.extensions += 1;
    stream.deadline = deadline;
    this.#asked.push(stream);
  }

  // -- windows that the peer granted

  /** Looks at `deadline` whether the stream uses its window; does nothing when that is on the agenda already. */
  watchUse(stream: StreamCore, deadline: number): void {
    if (this.#granted.has(stream)) return;
    stream.deadline = deadline;
    this.#granted.push(stream);
  }

  get useDeadline(): number {
    return this.#granted.deadline;
  }

  /** Those whose use is to be looked at now. */
  expiredUse(now: number): StreamCore[] {
    return this.#granted.takeExpired(now);
  }

  // -- what comes in

  /**
   * OPEN came. @throws ProtocolError `bad_stream_id`, `limit_exceeded`.
   * @param isServed Is there memory for it? Otherwise it must be refused.
   */
  receiveOpen(id: number, request: OpenRequest, isServed: boolean): StreamCore {
    if (id % 2 !== this.#peerParity || id <= this.#highestPeerId)
      throw new ProtocolError("bad_stream_id", `${id}`);
    if (this.#peerLive >= this.#options.maxStreams) throw new ProtocolError("limit_exceeded", "streams");
    if (this.#peerUnanswered >= this.#options.maxPendingOpens)
      throw new ProtocolError("limit_exceeded", "opens");
    this.#highestPeerId = id;
    this.#peerLive += 1;
    this.#peerUnanswered += 1;
    return this.#create(id, request, undefined, isServed);
  }

  /** The stream that a frame is for. @throws ProtocolError `unknown_stream`. */
  expect(id: number): StreamCore {
    const stream = this.find(id);
    if (stream === undefined) throw new ProtocolError("unknown_stream", `${id}`);
    return stream;
  }

  /**
   * The stream that a WINDOW or RESET is for; undefined when it was forgotten: the peer could not know yet.
   * @throws ProtocolError `unknown_stream` for an id that was never opened.
   */
  find(id: number): StreamCore | undefined {
    const stream = this.#streams.get(id);
    if (stream !== undefined && !stream.isWaiting) return stream;
    const highest = id % 2 === this.#peerParity ? this.#highestPeerId : this.#highestOwnAsked;
    if (id === 0 || id > highest) throw new ProtocolError("unknown_stream", `${id}`);
    return undefined;
  }

  answered(stream: StreamCore): void {
    if (stream.isOpener) {
      this.#ownUnanswered -= 1;
      this.#asked.delete(stream);
    } else this.#peerUnanswered -= 1;
  }

  forget(stream: StreamCore): void {
    if (!this.#streams.delete(stream.id)) return;
    stream.window.close();
    this.#granted.delete(stream);
    if (stream.isOpener) this.#ownLive -= 1;
    else this.#peerLive -= 1;
  }

  clear(): void {
    this.#streams.clear();
    this.#waiting.clear();
    this.#asked.clear();
    this.#granted.clear();
  }

  #create(
    id: number,
    request: OpenRequest,
    handler: StreamHandler | undefined,
    isServed: boolean,
  ): StreamCore {
    const window = new ReceiveWindow(this.#options, this.#budget, isServed);
    const sendWindow = new SendWindow(this.#peerLimits.initialWindowBytes);
    const stream = new StreamCore(this.#host, id, request, handler, window, sendWindow);
    this.#streams.set(id, stream);
    return stream;
  }
}
