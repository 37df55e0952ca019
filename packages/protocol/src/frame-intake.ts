import type { ErrorCode } from "./errors.ts";
import type { Frame } from "./frame.ts";
import type { GlitchMeter } from "./glitch-meter.ts";
import { IncomingOpen } from "./incoming-open.ts";
import type { Liveness } from "./liveness.ts";
import type { Outbox } from "./outbox.ts";
import type { SessionEvent } from "./session-event.ts";
import type { OpenRequest } from "./stream.ts";
import type { StreamDeadlines } from "./stream-deadlines.ts";
import type { StreamTable } from "./stream-table.ts";
import type { TunnelTable } from "./tunnel-table.ts";

/** What frames need of the session that they come to. */
export interface IntakeHost {
  /** Are new streams of the peer refused, because this side goes away? */
  readonly isLeaving: boolean;
  event(event: SessionEvent): void;
  /** Something may leave. */
  signal(): void;
  /** GOAWAY. Returns false when the peer said so before. */
  peerLeaves(): boolean;
  /** CLOSE. */
  closed(code: ErrorCode): void;
}

export interface IntakeParts {
  readonly streams: StreamTable;
  readonly tunnels: TunnelTable;
  readonly outbox: Outbox;
  readonly liveness: Liveness;
  readonly deadlines: StreamDeadlines;
  readonly glitches: GlitchMeter;
}

/** Applies each frame that came to whom it is for, and counts those that are of no use. */
export class FrameIntake {
  readonly #host: IntakeHost;
  readonly #parts: IntakeParts;

  constructor(host: IntakeHost, parts: IntakeParts) {
    this.#host = host;
    this.#parts = parts;
  }

  /** @throws ProtocolError when the frame breaks a rule, or was one too many of no use. */
  apply(frame: Frame, now: number): void {
    if (!this.#isOfUse(frame, now)) this.#parts.glitches.count(now);
  }

  #isOfUse(frame: Frame, now: number): boolean {
    const { streams, outbox, liveness, deadlines } = this.#parts;
    switch (frame.type) {
      case "data": {
        const hasBytes = frame.payload.length > 0; // before who gets them gives their memory back
        streams.expect(frame.streamId).receiveData(frame.offset, frame.payload);
        return hasBytes;
      }
      case "ack": {
        const isNews = outbox.receiveAck(frame.sequence, now);
        this.#host.signal();
        return isNews;
      }
      case "window": {
        const stream = streams.find(frame.streamId);
        if (stream === undefined) return true; // it was forgotten: the peer could not know
        const isNews = stream.receiveWindow(frame.limit);
        if (isNews) deadlines.watchUse(stream, now);
        return isNews;
      }
      case "release":
        return streams.expect(frame.streamId).receiveRelease(frame.limit);
      case "open":
        this.#receiveOpen(frame.streamId, frame.request);
        return true;
      case "accept":
        streams.expect(frame.streamId).receiveAccept();
        return true;
      case "refuse":
        streams.expect(frame.streamId).receiveRefuse(frame.code);
        return true;
      case "end":
        streams.expect(frame.streamId).receiveEnd(frame.total);
        return true;
      case "reset":
        streams.find(frame.streamId)?.receiveReset(frame.code);
        return true;
      case "ping": {
        const isFirst = outbox.pongDue(frame.token);
        this.#host.signal();
        return isFirst;
      }
      case "pong": {
        const rtt = liveness.pong(frame.token, now);
        if (rtt !== undefined) outbox.flight.measuredRtt(rtt);
        return rtt !== undefined;
      }
      case "ignored":
        return false;
      default:
        return this.#isRareOfUse(frame);
    }
  }

  /** The frames that come a few times in a session's life. */
  #isRareOfUse(frame: RareFrame): boolean {
    const { tunnels } = this.#parts;
    switch (frame.type) {
      case "tunnelOpen":
        tunnels.receiveOpen(frame.tunnelId);
        break;
      case "tunnelClose":
        if (!tunnels.receiveClose(frame.tunnelId)) return false;
        break;
      case "tunnelReady":
        if (!tunnels.receiveReady(frame.tunnelId)) return true; // it was being closed meanwhile
        break;
      case "tunnelClosed":
        tunnels.receiveClosed(frame.tunnelId);
        break;
      case "goaway":
        if (!this.#host.peerLeaves()) return false;
        break;
      case "close":
        this.#host.closed(frame.code);
        return true;
    }
    this.#host.event(frame);
    return true;
  }

  #receiveOpen(id: number, request: OpenRequest | undefined): void {
    const { streams } = this.#parts;
    const { hasRoom } = streams;
    const stream = streams.receiveOpen(id, request ?? { kind: "tcp" }, hasRoom);
    if (!hasRoom) stream.refuse("resource_exhausted");
    else if (request === undefined) stream.refuse("not_accepted");
    else if (this.#host.isLeaving) stream.refuse("draining");
    else this.#host.event({ type: "stream", incoming: new IncomingOpen(stream) });
  }
}

type RareFrame = Extract<
  Frame,
  { type: "tunnelOpen" | "tunnelClose" | "tunnelReady" | "tunnelClosed" | "note" | "goaway" | "close" }
>;
