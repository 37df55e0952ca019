/** What one end announces in HELLO or WELCOME; the other end keeps to it, and going beyond is a violation. */
export interface SessionLimits {
  /** Streams that the peer may have opened and not yet forgotten. */
  readonly maxStreams: number;
  /** Of those, how many may be waiting for accept or refuse. */
  readonly maxPendingOpens: number;
  /** Tunnels that the peer may have asked for. */
  readonly maxTunnels: number;
  /** Bytes that the peer may send on a new stream before the first WINDOW. */
  readonly initialWindowBytes: number;
  /** Size of this end's replay buffer: the peer acks at least every eighth of it. */
  readonly replayLimitBytes: number;
}

/** When this end pings and when it declares the peer dead; told to the peer so that a sleepy peer can be seen in logs. */
export interface KeepaliveTimes {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** Largest payload of one DATA frame that a receiver takes, bytes. */
export const MAX_DATA_BYTES = 65_536;
/** Largest HELLO, WELCOME, REJECT or tunnel control frame, bytes. */
export const MAX_CONTROL_BYTES = 16_384;
/** Largest legal frame: a full DATA with its header fits, so does any later datagram of 65,507 bytes. */
export const MAX_FRAME_BYTES = 131_072;
/** The WebSocket subprotocol (RFC 6455 section 1.9) of this version. */
export const SUBPROTOCOL = "culvert.v1";
/** Version inside HELLO; a server answers any other with `version_unsupported`. */
export const PROTOCOL_VERSION = 1;
/** Stream ids are 48-bit; ids are never reused, so a session ends before it could run out. */
export const MAX_STREAM_ID: number = 2 ** 48 - 1;
