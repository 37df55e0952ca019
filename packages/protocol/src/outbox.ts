import { AckClock } from "./ack-clock.ts";
import { ProtocolError } from "./errors.ts";
import { Flight } from "./flight.ts";
import { encodeAck, encodePing, encodePong, encodeWindow } from "./frame.ts";
import type { FrameMemory } from "./frame-memory.ts";
import type { SessionLimits } from "./limits.ts";
import type { Liveness } from "./liveness.ts";
import type { MemoryShare } from "./memory-pool.ts";
import { ReplayBuffer, replayCost } from "./replay-buffer.ts";
import { largestPayload, type SessionOptions } from "./session-options.ts";
import type { StreamCore } from "./stream-core.ts";
import { StreamScheduler } from "./stream-scheduler.ts";
import type { StreamTable } from "./stream-table.ts";

/** Who waits for the answers to opens. */
export interface OpenWatch {
  /** The OPEN of the stream has left. */
  opened(stream: StreamCore, now: number): void;
}

interface ControlFrame {
  readonly frame: Uint8Array;
  readonly onNumbered: (() => void) | undefined;
}

export interface OutboxMemory {
  /** What frames that are not acknowledged are taken from. */
  readonly share: MemoryShare;
  /** Gets each frame back that is acknowledged. */
  readonly frames: FrameMemory;
}

/**
 * What leaves next. The order (docs/protocol.md, "Order of sending"): ack, pong, ping; frames to be sent again, in the
 * order of their numbers; the session's queue; opens; windows and releases; then the streams in turn. A sequenced frame gets its
 * number here, when it is handed to a transport, and not before.
 */
export class Outbox {
  readonly flight: Flight;
  readonly ackClock: AckClock;
  readonly #options: SessionOptions;
  readonly #liveness: Liveness;
  readonly #replay: ReplayBuffer;
  readonly #share: MemoryShare;
  readonly #scheduler: StreamScheduler<StreamCore>;
  readonly #maxPayload: number;
  #control: ControlFrame[] = [];
  #controlHead = 0;
  readonly #windows = new Set<StreamCore>();
  readonly #releases = new Set<StreamCore>();
  #pong: number | undefined;
  /** Number of the last frame handed to this transport, or known to have been processed at the resume. */
  #cursor = 0;

  /** Frames and bytes that were sent again. */
  replayedFrames = 0;
  replayedBytes = 0;

  constructor(options: SessionOptions, peerLimits: SessionLimits, liveness: Liveness, memory: OutboxMemory) {
    this.#replay = new ReplayBuffer((frame) => memory.frames.release(frame), memory.share);
    this.#share = memory.share;
    this.#options = options;
    this.#liveness = liveness;
    this.flight = new Flight(options.replayLimitBytes);
    this.ackClock = new AckClock(peerLimits.replayLimitBytes);
    this.#maxPayload = largestPayload(options);
    this.#scheduler = new StreamScheduler(this.#maxPayload);
  }

  get replayBytes(): number {
    return this.#replay.cost;
  }

  get isInFlight(): boolean {
    return this.flight.bytes > 0;
  }

  /** Did the peer say that it processed the frame with that number? */
  isAcknowledged(sequence: number): boolean {
    return sequence <= this.#replay.acked;
  }

  // -- what is to leave

  control(frame: Uint8Array, onNumbered?: () => void): void {
    this.#control.push({ frame, onNumbered });
  }

  activate(stream: StreamCore): void {
    this.#scheduler.activate(stream);
  }

  windowDue(stream: StreamCore): void {
    this.#windows.add(stream);
  }

  /** The stream does not use its window. */
  releaseDue(stream: StreamCore): void {
    this.#releases.add(stream);
  }

  /** One pong at the most waits: the latest ping is the one that counts. Returns false when one waited already. */
  pongDue(token: number): boolean {
    const isFirst = this.#pong === undefined;
    this.#pong = token;
    return isFirst;
  }

  // -- transports

  /** Could this session go on with a peer that processed all frames up to `received`? */
  canResume(received: number): boolean {
    return received >= this.#replay.acked && received <= this.#replay.last;
  }

  attach(peerReceived: number, now: number): void {
    this.#replay.ackThrough(peerReceived);
    this.#cursor = peerReceived;
    this.#pong = undefined;
    this.flight.restart(now);
    this.ackClock.sent(); // HELLO or WELCOME told how far we are
  }

  /** Returns false when that was known already. @throws ProtocolError `bad_ack`. */
  receiveAck(sequence: number, now: number): boolean {
    if (sequence > this.#cursor) throw new ProtocolError("bad_ack", `${sequence} of ${this.#cursor}`);
    if (sequence <= this.#replay.acked) return false;
    this.flight.acked(this.#replay.ackThrough(sequence), now);
    this.#liveness.progress(now);
    return true;
  }

  // -- the order

  /** The next message for the transport, or undefined when nothing may leave now. `received` is for an ack. */
  next(now: number, received: number, streams: StreamTable, watch: OpenWatch): Uint8Array | undefined {
    if (this.ackClock.isDue(now)) {
      this.ackClock.sent();
      return encodeAck(received);
    }
    if (this.#pong !== undefined) {
      const pong = encodePong(this.#pong);
      this.#pong = undefined;
      return pong;
    }
    if (this.#liveness.pingDue) return encodePing(this.#liveness.takePing(now));
    if (!this.flight.hasRoom) return undefined;
    if (this.#cursor < this.#replay.last) return this.#again(now);
    return (
      this.#nextControl(now) ??
      this.#nextOpen(now, streams, watch) ??
      this.#nextWindow(now) ??
      this.#nextRelease(now) ??
      this.#nextOfStreams(now)
    );
  }

  #again(now: number): Uint8Array {
    this.#cursor += 1;
    const frame = this.#replay.frameAt(this.#cursor);
    this.replayedFrames += 1;
    this.replayedBytes += frame.length;
    this.#inFlight(frame, now);
    return frame;
  }

  #nextControl(now: number): Uint8Array | undefined {
    const item = this.#control[this.#controlHead];
    if (item === undefined || !this.#fitsReserve(item.frame.length)) return undefined;
    this.#controlHead += 1;
    if (this.#controlHead === this.#control.length) {
      this.#control = [];
      this.#controlHead = 0;
    }
    this.#number(item.frame, now);
    item.onNumbered?.();
    return item.frame;
  }

  #nextOpen(now: number, streams: StreamTable, watch: OpenWatch): Uint8Array | undefined {
    // A queued RESET must leave first: the peer counts a stream until then, and would see one too many.
    if (this.#controlHead < this.#control.length) return undefined;
    const stream = streams.nextOpen();
    if (stream === undefined) return undefined;
    const frame = stream.openFrame;
    if (frame === undefined || !this.#fitsReserve(frame.length)) return undefined;
    this.#number(frame, now);
    stream.openNumber = this.#cursor;
    watch.opened(stream, now);
    return frame;
  }

  #nextWindow(now: number): Uint8Array | undefined {
    if (this.#windows.size === 0 || !this.#fitsReserve(WINDOW_BYTES)) return undefined;
    for (const stream of this.#windows) {
      this.#windows.delete(stream);
      const limit = stream.wantsWindow ? stream.window.grant(now, this.flight.minRttMs) : undefined;
      if (limit === undefined) continue;
      const frame = encodeWindow(stream.id, limit);
      this.#number(frame, now);
      return frame;
    }
    return undefined;
  }

  #nextRelease(now: number): Uint8Array | undefined {
    if (this.#releases.size === 0 || !this.#fitsReserve(WINDOW_BYTES)) return undefined;
    for (const stream of this.#releases) {
      this.#releases.delete(stream);
      const frame = stream.takeRelease();
      if (frame === undefined) continue;
      this.#number(frame, now);
      return frame;
    }
    return undefined;
  }

  #nextOfStreams(now: number): Uint8Array | undefined {
    const payload = Math.max(1, Math.min(this.#maxPayload, Math.floor(this.flight.limit / FRAMES_IN_FLIGHT)));
    this.#scheduler.quantumBytes = payload;
    const stream = this.#scheduler.next();
    if (stream === undefined) return undefined;
    const length = stream.nextPayload(payload);
    if (this.#replay.cost + replayCost(length + END_BYTES) > this.#options.replayLimitBytes) return undefined;
    // The block that it will stand in may be larger than the frame.
    if (replayCost(this.#maxPayload + END_BYTES) > this.#share.freeForData) return undefined;
    const frame = stream.takeFrame(length);
    this.#scheduler.spend(stream, length === 0 ? frame.length : length);
    this.#number(frame, now);
    stream.afterFrame();
    return frame;
  }

  #fitsReserve(length: number): boolean {
    const { replayLimitBytes, replayReserveBytes } = this.#options;
    if (replayCost(length) > this.#share.free) return false;
    return this.#replay.cost + replayCost(length) <= replayLimitBytes + replayReserveBytes;
  }

  #number(frame: Uint8Array, now: number): void {
    this.#cursor = this.#replay.push(frame);
    this.#inFlight(frame, now);
  }

  #inFlight(frame: Uint8Array, now: number): void {
    if (!this.isInFlight) this.#liveness.progress(now);
    this.flight.sent(frame.length, now);
  }

  clear(): void {
    this.#replay.clear();
    this.#control = [];
    this.#controlHead = 0;
    this.#windows.clear();
    this.#releases.clear();
  }
}

/** A flight of a few frames at least: on a slow path one large frame would make all others wait. */
const FRAMES_IN_FLIGHT = 4;
/** RELEASE is as long. */
const WINDOW_BYTES = 15;
const END_BYTES = 15;
