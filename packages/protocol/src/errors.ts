/** Every way in which something can end, in one table: nothing decides by message text. */

export interface ErrorRow {
  /** Number of the code inside frames (u16). Never reused, never changed. */
  readonly wire: number;
  /** WebSocket close code (RFC 6455 section 7.4.2: 4000-4999 is private use); 1000 where none is meant. */
  readonly close: number;
  /** May the same thing succeed later without anybody changing anything? */
  readonly retryable: boolean;
  /** The fixed sentence: all that the remote peer or a log line says of it. */
  readonly sentence: string;
}

/** Each row: wire number, WebSocket close code, retryable, sentence. */
const TABLE = {
  // -- nothing wrong
  closed: [0, 1000, false, "closed as asked"],

  // -- streams (1-31)
  target_refused: [1, 1000, true, "the target refused the connection"],
  target_unreachable: [2, 1000, true, "the target cannot be reached"],
  target_unresolvable: [3, 1000, true, "the target's name cannot be resolved"],
  target_timeout: [4, 1000, true, "the target did not answer in time"],
  dial_failed: [5, 1000, true, "the connection to the target failed"],
  bad_address: [6, 1000, false, "the address is not valid"],
  forbidden: [7, 1000, false, "the policy does not allow this"],
  unknown_tunnel: [8, 1000, false, "no such tunnel is open"],
  stream_limit: [9, 1000, true, "too many streams are open"],
  open_timeout: [10, 1000, true, "the peer did not answer the open in time"],
  visitor_wait_timeout: [11, 1000, true, "the stream could not be opened while its visitor waited"],
  cancelled: [12, 1000, false, "given up by the side that asked for it"],
  connection_reset: [13, 1000, false, "the carried connection was reset"],
  resource_exhausted: [15, 1000, true, "out of descriptors or memory"],
  internal_error: [16, 1011, false, "an internal error, see the log of that side"],
  draining: [17, 1001, true, "shutting down, no new streams are taken"],
  idle_timeout: [19, 1000, true, "no byte was carried for as long as that is allowed"],
  not_accepted: [18, 1000, false, "this side takes no streams of this kind"],

  // -- tunnels (32-63)
  address_in_use: [32, 1000, true, "the listen address is already in use"],
  address_unavailable: [
    33,
    1000,
    true,
    "the listen address does not belong to the machine that was to listen",
  ],
  address_forbidden: [34, 1000, true, "listening there needs rights that the process does not have"],
  bind_failed: [35, 1000, true, "listening failed"],
  tunnel_limit: [36, 1000, true, "too many tunnels are open"],
  listener_failed: [37, 1000, true, "the listener stopped by itself"],
  listener_held: [38, 1000, true, "another client holds this address"],

  // -- sessions: violations (64-95); each is fatal for the session
  bad_frame: [64, 4400, false, "a frame is malformed"],
  unknown_frame: [65, 4400, false, "a frame of an unknown, not ignorable type"],
  unexpected_frame: [66, 4400, false, "a frame that may not come now"],
  text_message: [67, 4400, false, "a text message where only binary ones are allowed"],
  frame_too_large: [68, 4413, false, "a frame is larger than allowed"],
  unknown_stream: [69, 4400, false, "a frame for a stream that does not exist"],
  bad_stream_id: [70, 4400, false, "a stream id of the wrong parity, reused or going down"],
  offset_mismatch: [71, 4400, false, "the byte count of a stream does not agree"],
  window_exceeded: [72, 4400, false, "more bytes than the window allowed"],
  bad_window: [73, 4400, false, "a window that shrinks or is out of range"],
  limit_exceeded: [74, 4429, false, "more streams or tunnels than were announced as allowed"],
  bad_ack: [75, 4400, false, "an ack for something that was never sent"],
  too_many_glitches: [76, 4429, false, "too many frames that are allowed and of no use"],
  // -- sessions: handshake and life (96-127)
  session_unknown: [96, 4404, true, "no such session here (it ended, or the server was restarted)"],
  session_expired: [97, 4408, true, "the session was detached for longer than the grace"],
  displaced: [98, 4409, false, "another client with the same name took over"],
  replay_gap: [99, 4410, true, "the session cannot be resumed: the sequence numbers do not meet"],
  version_unsupported: [100, 4406, false, "the peer does not speak this version of the protocol"],
  handshake_timeout: [101, 4408, true, "the handshake was not finished in time"],
  bad_handshake: [102, 4400, false, "the handshake is malformed"],
  stale_attempt: [103, 4409, true, "a newer attempt of the same client was already accepted"],
  shutting_down: [104, 1001, true, "the server is shutting down"],
  session_limit: [105, 4429, true, "too many sessions"],
  never_welcomed: [106, 1000, true, "the client never showed that it got the welcome"],
  session_lost: [107, 1000, true, "the session was lost and a new one was begun"],
  drain_timeout: [108, 1000, false, "the drain took longer than allowed"],
  revoked: [109, 4401, false, "the identity was revoked or has expired"],

  // -- transports and the client's dialing (128-); local, but numbered for logs
  unauthorized: [128, 4401, false, "the server does not accept the credentials"],
  refused_by_server: [129, 4403, false, "the server refused the connection"],
  connect_failed: [130, 1000, true, "the server cannot be reached"],
  attempts_exhausted: [131, 1000, false, "the limit on connection attempts is reached"],
  deadline_exhausted: [132, 1000, false, "the limit on the time without a connection is reached"],
  aborted: [133, 1000, false, "aborted by the caller"],
  peer_silent: [134, 4408, true, "nothing was heard from the peer in time"],
  transport_stalled: [135, 4408, true, "the peer acknowledged nothing for too long"],
  transport_closed: [136, 1000, true, "the WebSocket closed"],
  transport_replaced: [137, 4409, true, "a newer WebSocket of the same session took over"],
  not_culvert: [138, 1000, false, "there is no Culvert server at this address"],
  listen_failed: [139, 1000, false, "a local listener cannot be opened"],
  invalid_option: [140, 1000, false, "an option is not valid"],
  not_running: [141, 1000, false, "not running"],
  already_started: [142, 1000, false, "already started"],
  untrusted_server: [143, 1000, false, "the server's certificate is not trusted"],
  unknown_code: [65535, 1000, true, "a reason that this version does not know"],
} as const;

/** The name of one row of {@link ERRORS}; the only thing that decisions may be made on. */
export type ErrorCode = keyof typeof TABLE;

export const ERRORS: Readonly<Record<ErrorCode, ErrorRow>> = Object.fromEntries(
  Object.entries(TABLE).map(([code, [wire, close, retryable, sentence]]) => [
    code,
    { wire, close, retryable, sentence },
  ]),
) as Record<ErrorCode, ErrorRow>;

const BY_WIRE: ReadonlyMap<number, ErrorCode> = new Map(
  Object.entries(ERRORS).map(([code, { wire }]) => [wire, code as ErrorCode]),
);

/** The code with that wire number; numbers of a newer peer become `unknown_code`. */
export function codeOfWire(wire: number): ErrorCode {
  return BY_WIRE.get(wire) ?? "unknown_code";
}

/** Is this one of our codes? For codes that arrive as text in the handshake. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

/**
 * The one error of the project. `message` is the fixed sentence of the code, with `: detail` behind it when there is
 * one. The detail is for this side's operator and never crosses the wire.
 */
export class CulvertError extends Error {
  override readonly name: string = "CulvertError";
  readonly code: ErrorCode;
  /** What stands behind the sentence of the code; undefined where nothing does. */
  readonly detail: string | undefined;

  constructor(code: ErrorCode, detail?: string, options?: { readonly cause?: unknown }) {
    const sentence = ERRORS[code].sentence;
    super(detail === undefined ? sentence : `${sentence}: ${detail}`, options);
    this.code = code;
    this.detail = detail;
  }

  /** May the same thing succeed later without anybody changing anything? */
  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }
}

/** The peer broke a rule of the protocol: the session ends with this code. */
export class ProtocolError extends CulvertError {
  override readonly name = "ProtocolError";
}
