import {
  CulvertError,
  DATA_HEADER_BYTES,
  ERRORS,
  type ErrorCode,
  type IncomingStream,
  type OpenRequest,
  Session,
  type SessionEvent,
  type SessionLimits,
  type SessionMemory,
  type SessionOptions,
  type Stream,
  type StreamHandler,
} from "@culvert/protocol";
import { FramePool } from "./frame-pool.ts";
import type { Logger } from "./logger.ts";
import { giveBack } from "./received-memory.ts";
import { SleepWatch } from "./sleep-watch.ts";
import type { Transport } from "./transport.ts";

export interface LinkOptions {
  readonly role: "client" | "server";
  readonly session: SessionOptions;
  /** What the peer announced in HELLO or WELCOME. */
  readonly peerLimits: SessionLimits;
  /** The session's part of a pool for many; it goes back when the session ends. Default: only its options bound it. */
  readonly memory?: SessionMemory;
  readonly logger: Logger;
}

/** The peer asks this side to listen. Answer with `ready` or `closed`; `closed` again when the listener stops. */
export interface TunnelRequest {
  readonly tunnelId: number;
  readonly listen: string;
  readonly name: string;
  /** The peer wants it closed, or the session is over: close the listener, then call `closed`. */
  onClose: (() => void) | undefined;
  ready(listening: string): void;
  closed(code: ErrorCode): void;
}

/** Who asked the peer to listen hears what became of it. */
export interface TunnelHandler {
  onReady(listening: string): void;
  /** The peer does not listen (any more). Called once, also when the session ends. */
  onClosed(code: ErrorCode): void;
}

/**
 * Drives one {@link Session} over one transport after another: gives it what happened, takes what leaves, arms one
 * timer. Knows no frame. Owned by a client or a server, which makes the handshakes and sets the callbacks; it ends by
 * itself at the end of the grace, and then never needs anything more.
 */
export class Link {
  onStream: (incoming: IncomingStream) => void = (incoming) => incoming.refuse("not_accepted");
  onTunnelRequest: (request: TunnelRequest) => void = (request) => request.closed("bind_failed");
  onNote: (text: string) => void = ignore;
  /** A transport was attached. `resumed`: it is not the first. */
  onAttached: (resumed: boolean) => void = ignore;
  onDetached: (cause: CulvertError) => void = ignore;
  /** The session is over; called once. */
  onEnded: (cause: CulvertError) => void = ignore;
  /** The peer goes away: no new streams. */
  onGoaway: (code: ErrorCode) => void = ignore;
  /** The first message of the peer after the handshake came. */
  onProven: (() => void) | undefined;

  readonly #session: Session;
  readonly #logger: Logger;
  readonly #requested = new Map<number, TunnelHandler>();
  readonly #serving = new Map<number, TunnelRequest>();
  #transport: Transport | undefined;
  #transportNumber = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #flushScheduled = false;
  #onDrained: (() => void) | undefined;
  readonly #sleepWatch: SleepWatch | undefined;

  // -- for stats
  #attachments = 0;
  #streamsOpened = 0;
  #framesSent = 0;
  #bytesSent = 0;
  #bytesReceived = 0;
  #detachedSince = performance.now();
  #detachedMs = 0;
  #longestDetachedMs = 0;

  constructor(options: LinkOptions) {
    this.#logger = options.logger;
    const pool = new FramePool(options.session.maxPayloadBytes + DATA_HEADER_BYTES, MOST_FREE_FRAMES);
    this.#session = new Session(
      {
        role: options.role,
        options: options.session,
        peerLimits: options.peerLimits,
        random: Math.random,
        frames: pool,
        onSpent: giveBack,
        ...(options.memory === undefined ? {} : { memory: options.memory }),
        onOutput: () => this.#scheduleFlush(),
      },
      performance.now(),
    );
    // Servers do not sleep, and may have thousands of links.
    if (options.role === "client") this.#sleepWatch = new SleepWatch(() => this.#slept());
    this.#armTimer();
  }

  get state(): "attached" | "detached" | "ended" {
    return this.#session.state;
  }

  get isDraining(): boolean {
    return this.#session.isDraining;
  }

  /** Streams that are not over, of both sides. */
  get streams(): number {
    return this.#session.streams;
  }

  stats(): LinkStats {
    const { state } = this.#session;
    return {
      state,
      resumes: Math.max(0, this.#attachments - 1),
      streams: this.#session.streams,
      streamsOpened: this.#streamsOpened,
      waitingOpens: this.#session.waitingOpens,
      framesSent: this.#framesSent,
      bytesSent: this.#bytesSent,
      bytesReceived: this.#bytesReceived,
      ...this.#session.counters,
      rttMs: this.#session.rttMs,
      minRttMs: this.#session.minRttMs,
      detachedMs: this.#detachedMs,
      longestDetachedMs: this.#longestDetachedMs,
    };
  }

  // -- transports

  /**
   * Stops listening to the current transport, then tells how far the peer came: the number for HELLO or WELCOME. In
   * this order, or a frame that arrives in between would be counted by one side only.
   */
  fence(): number {
    this.#dropTransport("transport_replaced");
    return this.#session.received;
  }

  /** Can the session go on with a peer that processed everything up to `received`? */
  canResume(received: number): boolean {
    return this.#session.canResume(received);
  }

  /** Goes on over `transport`, whose handshake is complete. The link owns it from now on. */
  attach(transport: Transport, peerReceived: number): void {
    this.#dropTransport("transport_replaced");
    const now = performance.now();
    this.#transportNumber += 1;
    const number = this.#transportNumber;
    this.#session.attach(number, peerReceived, now);
    if (this.#session.state !== "attached") {
      transport.terminate();
      this.#afterInput();
      return;
    }
    this.#transport = transport;
    this.#attachments += 1;
    const away = now - this.#detachedSince;
    if (this.#attachments > 1) {
      this.#detachedMs += away;
      this.#longestDetachedMs = Math.max(this.#longestDetachedMs, away);
    }
    this.onAttached(this.#attachments > 1);
    transport.handler = {
      onMessage: (message) => this.#receive(number, message),
      onText: () => {
        this.#session.receiveText(number);
        this.#afterInput();
      },
      onHeard: () => this.#session.heard(number, performance.now()),
      onDrain: () => this.#flush(),
      onClose: (code, reason) => {
        if (this.#transport !== transport) return;
        this.#dropTransport("transport_closed", `code ${code}${reason === "" ? "" : ` (${reason})`}`);
      },
    };
    this.#scheduleFlush();
  }

  /** Gives the transport up, keeps the session. */
  #dropTransport(code: ErrorCode, detail?: string): void {
    const transport = this.#transport;
    if (transport === undefined) return;
    this.#transport = undefined;
    const now = performance.now();
    this.#session.detach(now);
    transport.handler = DEAF;
    transport.terminate();
    this.#detachedSince = now;
    this.onDetached(new CulvertError(code, detail));
    this.#armTimer();
  }

  // -- streams and tunnels

  /** Opens a stream; it waits while detached. @throws CulvertError when ended, draining, or when too many wait. */
  openStream(request: OpenRequest, handler: StreamHandler): Stream {
    const stream = this.#session.open(request, handler, performance.now());
    this.#streamsOpened += 1;
    this.#armTimer();
    return stream;
  }

  /** Asks the peer to listen at `listen` for the tunnel called `name`; returns the id that its streams carry. */
  requestTunnel(listen: string, name: string, handler: TunnelHandler): number {
    const id = this.#session.requestTunnel(listen, name);
    this.#requested.set(id, handler);
    return id;
  }

  closeTunnel(tunnelId: number): void {
    this.#session.closeTunnel(tunnelId);
  }

  note(text: string): void {
    this.#session.note(text);
  }

  // -- the end

  /** Announces that no new streams are taken and waits until the open ones are done, at most `timeoutMs`. True: all done. */
  async drain(timeoutMs: number): Promise<boolean> {
    this.#session.drain("shutting_down");
    if (this.#isDrained) return true;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onDrained = resolve;
      timer = setTimeout(resolve, timeoutMs);
    });
    clearTimeout(timer);
    this.#onDrained = undefined;
    return this.#isDrained;
  }

  get #isDrained(): boolean {
    // Nothing unacknowledged either: a CLOSE may overtake nothing, but the transport may break before it arrived.
    return (
      this.#session.state === "ended" ||
      (this.#session.streams === 0 && this.#session.counters.replayBytes === 0)
    );
  }

  /** Ends the session for `code` and tells the peer if it is attached. Streams are reset on both sides. */
  close(code: ErrorCode = "closed"): void {
    this.#session.close(code);
    this.#afterInput();
  }

  /** The session cannot go on, and the peer need not or cannot be told. */
  fail(error: CulvertError): void {
    this.#session.fail(error);
    this.#afterInput();
  }

  // -- the loop

  #receive(number: number, message: Uint8Array): void {
    this.#bytesReceived += message.length;
    this.#session.receive(number, message, performance.now());
    if (this.onProven !== undefined && this.#session.state === "attached") {
      const proven = this.onProven;
      this.onProven = undefined;
      proven();
    }
    this.#afterInput();
  }

  #afterInput(): void {
    for (const event of this.#session.takeEvents()) this.#dispatch(event);
    if (this.#onDrained !== undefined && this.#isDrained) this.#onDrained();
    this.#armTimer();
  }

  /** Output is gathered until the event loop has read all that there was to read, so that one turn makes one write. */
  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    const transport = this.#transport;
    const now = performance.now();
    if (transport === undefined) {
      this.#session.nextFrame(now); // held data is delivered also while detached
    } else {
      transport.cork();
      try {
        while (transport.bufferedBytes < transport.highWaterBytes) {
          const frame = this.#session.nextFrame(now);
          if (frame === undefined) break;
          this.#framesSent += 1;
          this.#bytesSent += frame.length;
          transport.send(frame);
        }
      } finally {
        transport.uncork();
      }
    }
    this.#afterInput();
  }

  #armTimer(): void {
    const at = this.#session.nextDeadline;
    // A timer that fires too early finds nothing to do and arms itself again: cheaper than moving it with every frame.
    if (at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    if (at === Number.POSITIVE_INFINITY) return;
    this.#timerAt = at;
    // Rounded up: a timer that fires a fraction of a millisecond early would find nothing to do and spin.
    const delay = Math.ceil(Math.max(0, at - performance.now()));
    this.#timer = setTimeout(() => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.#readThenJudge(MOST_TURNS);
    }, delay);
  }

  /**
   * The loop may be late: what waits in the kernel is read before anything is judged. Immediates follow the poll; the second
   * one follows a poll that began behind the timer, also if the first poll was what made the loop late. If something in the
   * second poll stood still in turn, there is more to read.
   */
  #readThenJudge(turns: number): void {
    setImmediate(() => {
      const began = performance.now();
      setImmediate(() => {
        if (performance.now() - began > LONG_TURN_MS && turns > 1) {
          this.#readThenJudge(turns - 1);
          return;
        }
        // TLS gathers what it reads, and hands it on in an immediate of its own, behind this one.
        setImmediate(() => {
          this.#session.handleDeadline(performance.now());
          this.#afterInput();
        });
      });
    });
  }

  #slept(): void {
    this.#session.suspect(performance.now());
    this.#armTimer();
  }

  #dispatch(event: SessionEvent): void {
    switch (event.type) {
      case "stream":
        this.#streamsOpened += 1;
        this.onStream(event.incoming);
        return;
      case "tunnelOpen":
        this.#serve(event.tunnelId, event.listen, event.name);
        return;
      case "tunnelClose":
        this.#serving.get(event.tunnelId)?.onClose?.();
        return;
      case "tunnelReady":
        this.#requested.get(event.tunnelId)?.onReady(event.listen);
        return;
      case "tunnelClosed": {
        const handler = this.#requested.get(event.tunnelId);
        this.#requested.delete(event.tunnelId);
        handler?.onClosed(event.code);
        return;
      }
      case "note":
        this.onNote(event.text);
        return;
      case "goaway":
        this.onGoaway(event.code);
        return;
      case "transportFailed":
        this.#dropTransport(event.code);
        return;
      case "ended":
        this.#finish(event.error, event.farewell);
    }
  }

  #serve(tunnelId: number, listen: string, name: string): void {
    const request: TunnelRequest = {
      tunnelId,
      listen,
      name,
      onClose: undefined,
      ready: (listening) => this.#session.tunnelReady(tunnelId, listening),
      closed: (code) => {
        this.#serving.delete(tunnelId);
        this.#session.tunnelClosed(tunnelId, code);
      },
    };
    this.#serving.set(tunnelId, request);
    this.onTunnelRequest(request);
  }

  #finish(error: CulvertError, farewell: Uint8Array | undefined): void {
    clearTimeout(this.#timer);
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#sleepWatch?.close();
    const transport = this.#transport;
    this.#transport = undefined;
    if (transport !== undefined) {
      transport.handler = DEAF;
      if (farewell !== undefined) transport.send(farewell);
      transport.close(ERRORS[error.code].close, error.code);
    }
    this.#logger.debug({ code: error.code }, "session ended");
    for (const [id, handler] of this.#requested) {
      this.#requested.delete(id);
      handler.onClosed(error.code);
    }
    for (const [id, request] of this.#serving) {
      this.#serving.delete(id);
      request.onClose?.();
    }
    this.onEnded(error);
  }
}

export interface LinkStats {
  readonly state: "attached" | "detached" | "ended";
  readonly resumes: number;
  readonly streams: number;
  readonly streamsOpened: number;
  readonly waitingOpens: number;
  readonly framesSent: number;
  readonly framesReceived: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly replayedFrames: number;
  readonly replayedBytes: number;
  /** Memory of frames that the peer has not acknowledged. */
  readonly replayBytes: number;
  readonly inFlightBytes: number;
  /** Promised to the peer beyond the initial windows. */
  readonly windowBytes: number;
  /** The last and the smallest round trip of this transport; undefined before the first pong. */
  readonly rttMs: number | undefined;
  readonly minRttMs: number | undefined;
  /** Time without a transport since the first one, and the longest such time. */
  readonly detachedMs: number;
  readonly longestDetachedMs: number;
}

/** A turn of the event loop that took longer stood still, as far as the least of all time-outs is concerned. */
const LONG_TURN_MS = 100;
/** A loop whose turns are all that long must judge in the end. */
const MOST_TURNS = 3;
/** About what is in flight on a fast path. */
const MOST_FREE_FRAMES = 16;

/** A transport that was given up: late messages and its close are nobody's business. */
const DEAF = { onMessage: ignore, onText: ignore, onHeard: ignore, onDrain: ignore, onClose: ignore };

function ignore(): void {}
