import type { ErrorCode } from "../../src/errors.ts";
import { decodeFrame, encodeOpen, type Frame } from "../../src/frame.ts";
import type { SessionLimits } from "../../src/limits.ts";
import { Session } from "../../src/session.ts";
import type { SessionEvent } from "../../src/session-event.ts";
import { resolveSessionOptions, type SessionOptions } from "../../src/session-options.ts";
import type { IncomingStream, OpenRequest, Stream } from "../../src/stream.ts";
import { hex } from "./hex.ts";
import { RecordingHandler } from "./recording-handler.ts";

const PEER_LIMITS: SessionLimits = {
  maxStreams: 100,
  maxPendingOpens: 50,
  maxTunnels: 10,
  initialWindowBytes: 8192,
  replayLimitBytes: 1024 * 1024,
};

export interface LoneSessionOptions {
  readonly role?: "client" | "server";
  readonly options?: Partial<SessionOptions>;
  readonly peerLimits?: Partial<SessionLimits>;
  /** Default true: attached to transport 1 at time 0. */
  readonly attached?: boolean;
}

/** One session, with the test as its driver, its peer and its clock. */
export class LoneSession {
  readonly session: Session;
  readonly events: SessionEvent[] = [];
  now = 0;
  transport = 1;
  /** Calls of onOutput. */
  signals = 0;
  /** Parts of messages that nobody got. */
  readonly spent: Uint8Array[] = [];

  constructor(given: LoneSessionOptions = {}) {
    this.session = new Session(
      {
        role: given.role ?? "client",
        options: resolveSessionOptions(given.options),
        peerLimits: { ...PEER_LIMITS, ...given.peerLimits },
        random: () => 0.5,
        onSpent: (view) => void this.spent.push(view),
        onOutput: () => {
          this.signals += 1;
        },
      },
      0,
    );
    if (given.attached ?? true) this.attach(0);
  }

  /** Attaches the next transport to a peer that processed `peerReceived`. */
  attach(peerReceived: number): void {
    this.session.attach(this.transport, peerReceived, this.now);
    this.#collect();
  }

  detach(): void {
    this.session.detach(this.now);
    this.transport += 1;
  }

  /** The peer sends these messages. */
  give(...messages: Uint8Array[]): void {
    for (const message of messages) {
      this.session.receive(this.transport, message, this.now);
      this.#collect();
    }
  }

  /** Every message that leaves now. */
  takeMessages(most = Number.POSITIVE_INFINITY): Uint8Array[] {
    const messages: Uint8Array[] = [];
    while (messages.length < most) {
      const message = this.session.nextFrame(this.now);
      if (message === undefined) break;
      messages.push(message);
    }
    this.#collect();
    return messages;
  }

  /** The sequenced frames that leave now. */
  takeFrames(most?: number): Frame[] {
    return this.takeMessages(most)
      .map((message) => decodeFrame(message))
      .filter(({ type }) => type !== "ping" && type !== "pong" && type !== "ack");
  }

  /** The sequenced frames that leave now, one short line each. */
  sent(): string {
    return this.takeFrames().map(describeFrame).join(", ");
  }

  /** Moves the clock and calls the session when it asked to be called. */
  advanceTo(time: number): void {
    while (this.session.nextDeadline <= time) {
      this.now = Math.max(this.now, this.session.nextDeadline);
      this.session.handleDeadline(this.now);
      this.#collect();
      this.takeMessages();
    }
    this.now = time;
  }

  open(request: OpenRequest = { kind: "tcp" }): { stream: Stream; handler: RecordingHandler } {
    const handler = new RecordingHandler();
    const stream = this.session.open(request, handler, this.now);
    return { stream, handler };
  }

  /** The peer opens a stream with that id; the test answers. */
  offer(id: number, request: OpenRequest = { kind: "tcp" }): IncomingStream {
    this.give(encodeOpen(id, request));
    const event = this.events.findLast((e) => e.type === "stream" && e.incoming.id === id);
    if (event?.type !== "stream") throw new Error(`no stream ${id} was offered`);
    return event.incoming;
  }

  /** The peer opens a stream, and it is accepted at once. */
  accept(id: number): { stream: Stream; handler: RecordingHandler } {
    const incoming = this.offer(id);
    const handler = new RecordingHandler();
    return { stream: incoming.accept(handler), handler };
  }

  /** Why the session is over; undefined while it is not. */
  get endedBecause(): ErrorCode | undefined {
    this.#collect();
    const event = this.events.find((e) => e.type === "ended");
    return event?.type === "ended" ? event.error.code : undefined;
  }

  get farewell(): string | undefined {
    this.#collect();
    const event = this.events.find((e) => e.type === "ended");
    return event?.type === "ended" && event.farewell !== undefined ? hex(event.farewell) : undefined;
  }

  /** Event types since the last call. */
  takeEvents(): SessionEvent[] {
    this.#collect();
    return this.events.splice(0);
  }

  #collect(): void {
    this.events.push(...this.session.takeEvents());
  }
}

/** A frame in few words, such as `DATA 1 @0 aabb`. */
export function describeFrame(frame: Frame): string {
  switch (frame.type) {
    case "data":
      return `DATA ${frame.streamId} @${frame.offset} ${frame.payload.length <= 8 ? hex(frame.payload) : frame.payload.length}`;
    case "end":
      return `END ${frame.streamId} ${frame.total}`;
    case "window":
    case "release":
      return `${frame.type.toUpperCase()} ${frame.streamId} ${frame.limit}`;
    case "open":
    case "accept":
      return `${frame.type.toUpperCase()} ${frame.streamId}`;
    case "refuse":
    case "reset":
      return `${frame.type.toUpperCase()} ${frame.streamId} ${frame.code}`;
    case "tunnelOpen":
    case "tunnelReady":
      return `${frame.type} ${frame.tunnelId} ${frame.listen}`;
    case "tunnelClose":
      return `${frame.type} ${frame.tunnelId}`;
    case "tunnelClosed":
      return `${frame.type} ${frame.tunnelId} ${frame.code}`;
    case "goaway":
    case "close":
      return `${frame.type.toUpperCase()} ${frame.code}`;
    case "note":
      return `NOTE ${frame.text}`;
    case "ping":
    case "pong":
      return `${frame.type.toUpperCase()} ${frame.token}`;
    case "ack":
      return `ACK ${frame.sequence}`;
    case "ignored":
      return "ignored";
  }
}
