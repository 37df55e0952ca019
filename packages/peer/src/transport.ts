/** One WebSocket connection for one lifetime: what a {@link Link} sends frames through. */
export interface Transport {
  /**
   * Who hears of it. While nobody does, messages are kept in order and handed over when somebody is set; so the owner
   * may change during the handshake without losing one.
   */
  handler: TransportHandler | undefined;
  /** Bytes taken by `send` and not yet given to the kernel. */
  readonly bufferedBytes: number;
  /**
   * How much may be buffered before the sender must wait for `onDrain`. Never below the socket's own mark: a socket that
   * was not told to stop does not tell when it may go on.
   */
  readonly highWaterBytes: number;
  /** Sends one frame as one binary message. `frame` must not be changed afterwards. */
  send(frame: Uint8Array): void;
  /** Between `cork` and `uncork` sent frames are gathered and leave with one system call. */
  cork(): void;
  uncork(): void;
  /** The closing handshake, cut off after a few seconds. */
  close(code: number, reason: string): void;
  /** Ends it at once. */
  terminate(): void;
}

export interface TransportHandler {
  /** A whole binary message. */
  onMessage(message: Uint8Array): void;
  /** A text message; the protocol has none. */
  onText(): void;
  /** Any byte came, perhaps not a whole message yet: a sign of life. */
  onHeard(): void;
  /** `bufferedBytes` went down to nothing. */
  onDrain(): void;
  /** Once; nothing follows. `code` as in RFC 6455 section 7.4, 1006 when it broke. */
  onClose(code: number, reason: string): void;
}
