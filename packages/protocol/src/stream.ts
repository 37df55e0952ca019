import type { ErrorCode } from "./errors.ts";

/** What the opener says of a new stream; travels in its OPEN. */
export interface OpenRequest {
  /** What the stream carries. Only `tcp` exists in version 1. */
  readonly kind: "tcp";
  /** The tunnel that the visitor came through; names a tunnel that the acceptor asked for (LISTEN mode). */
  readonly tunnelId?: number;
  /** The endpoint that the acceptor shall dial (CONNECT mode), as text; checked by the acceptor. */
  readonly target?: string;
  /** Where the visitor comes from, as endpoint text; a claim of the opener, for logs. */
  readonly visitor?: string;
  /** The host name that the visitor asked for, for virtual hosts. */
  readonly host?: string;
}

/**
 * What the owner of a stream hears. Called inside the session's `receive`, with the session in a consistent state, so
 * any method of the stream may be called from inside. A handler must not throw.
 */
export interface StreamHandler {
  /** Opener only: the peer accepted. */
  onAccept?(): void;
  /**
   * Bytes, in order. The session never touches the view again, nor needs its memory; the owner calls {@link Stream.consumed} when the
   * bytes have left its hands, which is what lets the peer send more.
   */
  onData(chunk: Uint8Array): void;
  /** The peer ended its direction; every byte that it sent was handed to `onData`. */
  onEnd(): void;
  /**
   * The stream is over in both directions, abruptly. Called once at the most; nothing follows.
   * `receivedAll`: `onEnd` had already been called, so no byte towards this side is missing.
   */
  onReset(code: ErrorCode, receivedAll: boolean): void;
  /** After `write` returned false: there is room again. */
  onWritable?(): void;
  /** Both directions ended in good order and were acknowledged or forgotten; never after `onReset`. */
  onFinished?(): void;
}

/** One carried connection, seen from either side. Every method may be called at any time; after the end they do nothing. */
export interface Stream {
  readonly id: number;
  readonly request: OpenRequest;
  /** Bytes written that have not left in a frame yet. */
  readonly writableBytes: number;
  /** Do all streams together have much that waits? Then each should be given little at a time. */
  readonly isCrowded: boolean;
  /** Is there something that the peer would take, and that waits for the transport only? */
  readonly isSendable: boolean;
  /** How long the session has been attached by `now`, all attachments together: a clock that stands still while nothing can come. */
  attachedMs(now: number): number;
  /**
   * Queues a copy of `chunk`, whose memory may be used again at once.
   * Returns false when the owner should pause until `onWritable`; the bytes are taken all the same.
   */
  write(chunk: Uint8Array): boolean;
  /** Half-closes this direction, after everything written before. */
  end(): void;
  /** Aborts both directions; what is still queued is dropped and no callback follows. */
  reset(code: ErrorCode): void;
  /** `bytes` of what `onData` delivered have left the owner's hands. */
  consumed(bytes: number): void;
}

/** A stream that the peer asks for. Answer once, at any later time; data that came with the OPEN is held until then. */
export interface IncomingStream {
  readonly id: number;
  readonly request: OpenRequest;
  /** The opener gave up, or the session ended, before the answer: stop dialing. Neither answer does anything then. */
  onCancelled: (() => void) | undefined;
  accept(handler: StreamHandler): Stream;
  refuse(code: ErrorCode): void;
}
