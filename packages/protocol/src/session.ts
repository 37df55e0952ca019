import { CulvertError, type ErrorCode, ProtocolError } from "./errors.ts";
import { decodeFrame, encodeClose, encodeGoaway, encodeNote, isSequenced } from "./frame.ts";
import { FrameIntake } from "./frame-intake.ts";
import { collectedMemory, type FrameMemory } from "./frame-memory.ts";
import { GlitchMeter } from "./glitch-meter.ts";
import type { SessionLimits } from "./limits.ts";
import { Liveness } from "./liveness.ts";
import { type SessionMemory, unsharedMemory } from "./memory-pool.ts";
import { Outbox } from "./outbox.ts";
import { ReceiveBudget } from "./receive-window.ts";
import { replayCost } from "./replay-buffer.ts";
import type { SessionCounters } from "./session-counters.ts";
import type { SessionEvent } from "./session-event.ts";
import { largestPayload, type SessionOptions } from "./session-options.ts";
import type { OpenRequest, Stream, StreamHandler } from "./stream.ts";
import type { StreamCore, StreamHost } from "./stream-core.ts";
import { StreamDeadlines } from "./stream-deadlines.ts";
import { StreamTable } from "./stream-table.ts";
import { TunnelTable } from "./tunnel-table.ts";

/** Attached to a transport, waiting for one since a time, or over. */
type SessionState =
  | { readonly name: "attached"; readonly transport: number; readonly since: number }
  | { readonly name: "detached"; readonly since: number }
  | { readonly name: "ended"; readonly error: CulvertError };

export interface SessionConfig {
  readonly role: "client" | "server";
  readonly options: SessionOptions;
  readonly peerLimits: SessionLimits;
  /** Uniform in [0, 1); for the jitter of pings. */
  readonly random: () => number;
  /** Default: the collector's. */
  readonly frames?: FrameMemory;
  /** Of a message that was received, nobody got that part, or will: its memory may be used again. Default: it is left alone. */
  readonly onSpent?: (view: Uint8Array) => void;
  /** This session's part of a pool that it shares with others; it goes back at the end. Default: only the options bound it. */
  readonly memory?: SessionMemory;
  /** Something may leave: take it with `nextFrame` soon. Not called again before that was done. */
  readonly onOutput?: () => void;
}

/**
 * One end of a session: every rule of docs/protocol.md, and no I/O. The driver tells it what happened (`attach`,
 * `detach`, `receive`, `heard`, `handleDeadline`) with the time in ms of one monotonic clock, then takes the messages
 * (`nextFrame` until undefined, as long as the transport has room), the events (`takeEvents`), and arms one timer
 * (`nextDeadline`). Both ends are this class; only the parity of stream ids differs.
 */
export class Session {
  readonly #config: SessionConfig;
  readonly #liveness: Liveness;
  readonly #outbox: Outbox;
  readonly #memory: SessionMemory;
  readonly #budget: ReceiveBudget;
  readonly #streams: StreamTable;
  readonly #tunnels: TunnelTable;
  readonly #deadlines: StreamDeadlines;
  readonly #intake: FrameIntake;
  #state: SessionState;
  #events: SessionEvent[] = [];
  #received = 0;
  #framesReceived = 0;
  #outputSignalled = false;
  #notes = 0;
  #drainingBy: "local" | "peer" | undefined;
  #isPeerLeaving = false;
  readonly #toDeliver = new Set<StreamCore>();
  #lastNow: number;

  constructor(config: SessionConfig, now: number) {
    const { options, peerLimits } = config;
    this.#config = config;
    this.#lastNow = now;
    this.#state = { name: "detached", since: now };
    this.#liveness = new Liveness({ ...options, random: config.random });
    this.#memory = config.memory ?? unsharedMemory();
    const frames = config.frames ?? collectedMemory;
    this.#outbox = new Outbox(options, peerLimits, this.#liveness, { share: this.#memory.replay, frames });
    this.#budget = new ReceiveBudget(options.receiveBudgetBytes, this.#memory.receive);
    const host: StreamHost = {
      control: (frame, onNumbered) => this.#control(frame, onNumbered),
      activate: (stream) => {
        this.#outbox.activate(stream);
        this.#signal();
      },
      windowDue: (stream) => {
        this.#outbox.windowDue(stream);
        this.#signal();
      },
      cancelOpen: (stream) => this.#streams.cancelOpen(stream),
      unwatch: (stream) => this.#streams.unwatch(stream),
      answered: (stream) => {
        this.#streams.answered(stream);
        if (this.#streams.waiting > 0) this.#signal(); // there may be room for the next open
      },
      deliverLater: (stream) => {
        this.#toDeliver.add(stream);
        this.#signal();
      },
      forget: (stream) => {
        this.#streams.forget(stream);
        if (this.#streams.waiting > 0) this.#signal();
      },
      attachedMs: (at) => this.#deadlines.clock(at),
      spent: (view) => config.onSpent?.(view),
      memory: frames,
      maxPayloadBytes: largestPayload(options),
      writeHighWaterBytes: options.writeHighWaterBytes,
      queuedBytes: 0,
    };
    this.#streams = new StreamTable(host, config.role, options, peerLimits, this.#budget);
    this.#tunnels = new TunnelTable((frame, onNumbered) => this.#control(frame, onNumbered), {
      forPeer: options.maxTunnels,
      forUs: peerLimits.maxTunnels,
    });
    this.#deadlines = new StreamDeadlines(options, this.#streams, this.#outbox, this.#liveness);
    this.#intake = this.#newIntake();
  }

  #newIntake(): FrameIntake {
    const isLeaving = (): boolean => this.#drainingBy === "local";
    const host = {
      get isLeaving() {
        return isLeaving();
      },
      event: (event: SessionEvent) => void this.#events.push(event),
      signal: () => this.#signal(),
      peerLeaves: () => this.#peerLeaves(),
      closed: (code: ErrorCode) => this.#end(new CulvertError(code), "peer", undefined),
    };
    return new FrameIntake(host, {
      streams: this.#streams,
      tunnels: this.#tunnels,
      outbox: this.#outbox,
      liveness: this.#liveness,
      deadlines: this.#deadlines,
      glitches: new GlitchMeter(this.#config.options.maxGlitchesPerMinute),
    });
  }

  // -- looking

  get state(): SessionState["name"] {
    return this.#state.name;
  }

  /** Highest sequence number processed: for HELLO and WELCOME, read after `detach`. */
  get received(): number {
    return this.#received;
  }

  get streams(): number {
    return this.#streams.live;
  }

  get waitingOpens(): number {
    return this.#streams.waiting;
  }

  /** Are new streams refused, because one side is going away? */
  get isDraining(): boolean {
    return this.#drainingBy !== undefined;
  }

  get rttMs(): number | undefined {
    return this.#outbox.flight.lastRttMs;
  }

  get minRttMs(): number | undefined {
    return this.#outbox.flight.minRttMs;
  }

  get counters(): SessionCounters {
    return {
      framesReceived: this.#framesReceived,
      replayedFrames: this.#outbox.replayedFrames,
      replayedBytes: this.#outbox.replayedBytes,
      replayBytes: this.#outbox.replayBytes,
      inFlightBytes: this.#outbox.flight.bytes,
      windowBytes: this.#budget.used,
    };
  }

  // -- transports

  /** Can the session go on with a peer that processed all frames up to `received`? */
  canResume(received: number): boolean {
    return this.#state.name !== "ended" && this.#outbox.canResume(received);
  }

  /**
   * The handshake over transport number `transport` is complete. The old one must have been detached before its
   * `received` was told to the peer, or frames would be counted twice.
   */
  attach(transport: number, peerReceived: number, now: number): void {
    if (this.#state.name === "ended") return;
    this.detach(now);
    if (!this.#outbox.canResume(peerReceived)) {
      this.#end(new ProtocolError("replay_gap", `the peer says ${peerReceived}`), "local", undefined);
      return;
    }
    this.#state = { name: "attached", transport, since: now };
    this.#outbox.attach(peerReceived, now);
    this.#liveness.attach(now);
    this.#deadlines.attach(now);
    this.#signal();
  }

  /** The transport is gone, or is fenced off: nothing more of it is listened to. */
  detach(now: number): void {
    if (this.#state.name !== "attached") return;
    this.#state = { name: "detached", since: now };
    this.#liveness.detach();
    this.#deadlines.detach(now);
  }

  /** Bytes came over the transport, perhaps not yet a whole message. */
  heard(transport: number, now: number): void {
    if (this.#state.name === "attached" && this.#state.transport === transport) this.#liveness.heard(now);
  }

  /** The machine seems to have slept: make sure quickly that the transport is alive. */
  suspect(now: number): void {
    this.#liveness.suspect(now);
    this.#signal();
  }

  /** A whole binary message. One of a transport that is not the attached one is dropped. */
  receive(transport: number, message: Uint8Array, now: number): void {
    if (this.#state.name !== "attached" || this.#state.transport !== transport) return;
    this.#lastNow = now;
    this.#liveness.heard(now);
    this.#framesReceived += 1;
    // Before it is applied: who gets the payload may free its memory at once.
    const cost = replayCost(message.length);
    const takesNumber = message.length > 0 && isSequenced(message);
    try {
      this.#intake.apply(decodeFrame(message), now);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#end(error, "local", encodeClose(error.code));
      return;
    }
    if (takesNumber) {
      this.#received += 1;
      this.#outbox.ackClock.processed(cost, now);
    }
    if (this.#outbox.ackClock.isDue(now)) this.#signal();
  }

  /** A text message, which version 1 does not have. */
  receiveText(transport: number): void {
    if (this.#state.name !== "attached" || this.#state.transport !== transport) return;
    this.#end(new ProtocolError("text_message"), "local", encodeClose("text_message"));
  }

  /** The next message for the transport; undefined when nothing may leave now. */
  nextFrame(now: number): Uint8Array | undefined {
    this.#outputSignalled = false;
    if (this.#toDeliver.size > 0) this.#deliverHeld();
    if (this.#state.name !== "attached") return undefined;
    return this.#outbox.next(now, this.#received, this.#streams, this.#deadlines);
  }

  takeEvents(): SessionEvent[] {
    if (this.#events.length === 0) return NO_EVENTS;
    const events = this.#events;
    this.#events = [];
    return events;
  }

  // -- time

  /** When `handleDeadline` wants to be called, at the latest. */
  get nextDeadline(): number {
    if (this.#state.name === "ended") return Number.POSITIVE_INFINITY;
    const waiting = this.#streams.waitingDeadline;
    if (this.#state.name === "detached")
      return Math.min(this.#state.since + this.#config.options.graceMs, waiting);
    const { dueAt: ackDueAt } = this.#outbox.ackClock;
    return Math.min(
      this.#liveness.nextDeadline(this.#outbox.isInFlight),
      // An ack that is due already waits for room in the transport, not for time.
      ackDueAt > this.#lastNow ? ackDueAt : Number.POSITIVE_INFINITY,
      waiting,
      this.#deadlines.next,
    );
  }

  /** Call when `nextDeadline` is reached, after everything that could be read was read. */
  handleDeadline(now: number): void {
    if (this.#state.name === "ended") return;
    this.#lastNow = now;
    for (const stream of this.#streams.expiredWaiting(now)) stream.giveUp("visitor_wait_timeout");
    if (this.#state.name === "detached") {
      if (now >= this.#state.since + this.#config.options.graceMs) {
        this.#end(new CulvertError("session_expired"), "local", undefined);
      }
      return;
    }
    this.#deadlines.check(now);
    const failed = this.#liveness.check(now, this.#outbox.isInFlight);
    if (failed !== undefined) {
      this.detach(now);
      this.#events.push({ type: "transportFailed", code: failed });
    }
    this.#signal();
  }

  // -- streams

  /**
   * Opens a stream. The OPEN leaves as soon as there is a transport and the peer's limits allow; data may be written at
   * once. @throws CulvertError when the session is over, draining, too many opens wait, or there is no memory.
   */
  open(request: OpenRequest, handler: StreamHandler, now: number): Stream {
    if (this.#state.name === "ended") throw new CulvertError(this.#state.error.code);
    if (this.#drainingBy !== undefined) throw new CulvertError("draining");
    const { visitorWaitMs, maxWaitingOpens, maxStreams } = this.#config.options;
    const most = this.#state.name === "detached" ? maxWaitingOpens : maxStreams;
    const stream = this.#streams.open(request, handler, now + visitorWaitMs, most);
    this.#signal();
    return stream;
  }

  // -- tunnels

  /** Asks the peer to listen; the answer is an event. @throws CulvertError `tunnel_limit`, or why the session is over. */
  requestTunnel(listen: string, name: string): number {
    if (this.#state.name === "ended") throw new CulvertError(this.#state.error.code);
    return this.#tunnels.request(listen, name);
  }

  closeTunnel(tunnelId: number): void {
    this.#tunnels.close(tunnelId);
  }

  /** Answers a `tunnelOpen` event: listening at that address. */
  tunnelReady(tunnelId: number, listen: string): void {
    this.#tunnels.ready(tunnelId, listen);
  }

  /** Answers a `tunnelOpen` that failed, or a `tunnelClose`, or tells that the listener stopped. */
  tunnelClosed(tunnelId: number, code: ErrorCode): void {
    this.#tunnels.closed(tunnelId, code);
  }

  // -- the session as a whole

  /** A line for the peer's operator; at most 1,024 bytes, and at most 16 wait at once (more are dropped). */
  note(text: string): void {
    if (this.#notes >= MAX_NOTES) return;
    this.#notes += 1;
    this.#control(encodeNote(text), () => {
      this.#notes -= 1;
    });
  }

  /** No new streams from now on, in either direction; those that are open go on. */
  drain(code: ErrorCode): void {
    if (this.#state.name === "ended" || this.#drainingBy === "local") return;
    this.#drainingBy = "local";
    this.#control(encodeGoaway(code));
    this.#dropWaiting();
  }

  /** Ends the session: streams are reset on both sides. The farewell in the `ended` event tells the peer. */
  close(code: ErrorCode): void {
    this.#end(new CulvertError(code), "local", encodeClose(code));
  }

  /** The session cannot go on and there is nobody to tell. */
  fail(error: CulvertError): void {
    this.#end(error, "local", undefined);
  }

  #end(error: CulvertError, by: "local" | "peer", farewell: Uint8Array | undefined): void {
    if (this.#state.name === "ended") return;
    const attached = this.#state.name === "attached";
    this.#state = { name: "ended", error };
    this.#liveness.detach();
    this.#deliverHeld();
    for (const stream of this.#streams.all()) {
      stream.sessionEnded(error.code);
      stream.window.close();
    }
    this.#streams.clear();
    this.#outbox.clear();
    this.#memory.close();
    this.#events.push({ type: "ended", error, by, farewell: attached ? farewell : undefined });
  }

  #peerLeaves(): boolean {
    if (this.#isPeerLeaving) return false;
    this.#isPeerLeaving = true;
    this.#drainingBy ??= "peer";
    this.#dropWaiting();
    return true;
  }

  #dropWaiting(): void {
    for (const stream of this.#streams.all()) if (stream.isWaiting) stream.giveUp("draining");
  }

  #deliverHeld(): void {
    for (const stream of this.#toDeliver) {
      this.#toDeliver.delete(stream);
      stream.deliverHeld();
    }
  }

  #control(frame: Uint8Array, onNumbered?: () => void): void {
    if (this.#state.name === "ended") return;
    this.#outbox.control(frame, onNumbered);
    this.#signal();
  }

  #signal(): void {
    if (this.#outputSignalled) return;
    this.#outputSignalled = true;
    this.#config.onOutput?.();
  }
}

const MAX_NOTES = 16;
const NO_EVENTS: SessionEvent[] = [];
