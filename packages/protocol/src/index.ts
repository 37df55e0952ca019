export {
  canonicalHost,
  canonicalIpv6,
  checkTarget,
  type Endpoint,
  formatEndpoint,
  ipv6Groups,
  listenEndpoint,
  parseEndpoint,
} from "./endpoint.ts";
export { CulvertError, codeOfWire, ERRORS, type ErrorCode, isErrorCode, ProtocolError } from "./errors.ts";
export { DATA_HEADER_BYTES } from "./frame.ts";
export {
  decodeHandshake,
  encodeHello,
  encodeReject,
  encodeWelcome,
  type HandshakeMessage,
  type Hello,
  proofInput,
  type Reject,
  type Resume,
  type Welcome,
} from "./handshake.ts";
export {
  isStaleChallenge,
  type KeyLogin,
  type KeyLoginClaim,
  keyChallengeHeader,
  keyChallengeIn,
  keyLoginHeader,
  keyLoginInput,
  parseKeyLogin,
} from "./key-login.ts";
export {
  type KeepaliveTimes,
  MAX_CONTROL_BYTES,
  MAX_DATA_BYTES,
  MAX_FRAME_BYTES,
  PROTOCOL_VERSION,
  type SessionLimits,
  SUBPROTOCOL,
} from "./limits.ts";
export { type MemoryLevel, MemoryPool, type SessionMemory } from "./memory-pool.ts";
export { Session } from "./session.ts";
export { type AdmissionDecision, SessionBook, type SessionRecord } from "./session-book.ts";
export type { SessionEvent } from "./session-event.ts";
export { resolveSessionOptions, SESSION_DEFAULTS, type SessionOptions } from "./session-options.ts";
export type { IncomingStream, OpenRequest, Stream, StreamHandler } from "./stream.ts";
