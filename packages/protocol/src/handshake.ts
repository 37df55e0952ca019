import { JsonReader, parseBoundedJson } from "./bounded-json.ts";
import { type ErrorCode, isErrorCode, ProtocolError } from "./errors.ts";
import { FRAME } from "./frame.ts";
import { type KeepaliveTimes, MAX_CONTROL_BYTES, PROTOCOL_VERSION, type SessionLimits } from "./limits.ts";

/** The client's first message on a transport. */
export interface Hello {
  readonly version: number;
  /** Random id of the client process, 32 hex digits: makes creating a session idempotent when a WELCOME was lost. */
  readonly instance: string;
  /**
   * Number of this dial; grows with each dial of the instance. One below the highest of the instance's session was
   * overtaken on its way, and must not displace it. Missing: 0.
   */
  readonly attempt?: number;
  /** Under which name the client holds its tunnels; the same name displaces. */
  readonly name: string;
  /** Program and version, for logs. */
  readonly agent: string;
  readonly limits: SessionLimits;
  readonly keepalive: KeepaliveTimes;
  /** Present when an existing session is to be resumed. */
  readonly resume?: Resume;
}

/** The proof that the client may resume a session, and how far it got. */
export interface Resume {
  readonly session: string;
  /** Grows with every dial of the client; only one above the last accepted is taken. */
  readonly attempt: number;
  /** Highest sequence number that the client processed. */
  readonly received: number;
  /** HMAC-SHA-256 of {@link proofInput} under the session secret, base64url. */
  readonly proof: string;
}

/** The server's yes. */
export interface Welcome {
  readonly version: number;
  readonly session: string;
  /** Only when the session was created now: 256 random bits, base64url. */
  readonly secret?: string;
  /** Highest sequence number that the server processed; 0 for a new session. */
  readonly received: number;
  readonly agent: string;
  readonly limits: SessionLimits;
  readonly keepalive: KeepaliveTimes;
  /** How long the server keeps the session while it is detached. */
  readonly graceMs: number;
}

/** The server's no; the transport closes behind it. */
export interface Reject {
  readonly code: ErrorCode;
  /** Do not come back before this many milliseconds. */
  readonly retryAfterMs?: number;
  /** Try this server instead. */
  readonly redirect?: string;
}

export type HandshakeMessage =
  | { readonly type: "hello"; readonly hello: Hello }
  | { readonly type: "welcome"; readonly welcome: Welcome }
  | { readonly type: "reject"; readonly reject: Reject };

const MAX_NAME = 255;
const MAX_MS = 2 ** 31 - 1;
const encoder = new TextEncoder();

function encode(type: number, value: object): Uint8Array {
  const json = encoder.encode(JSON.stringify(value));
  if (json.length + 1 > MAX_CONTROL_BYTES) {
    throw new ProtocolError("bad_handshake", `${json.length} bytes, at most ${MAX_CONTROL_BYTES - 1}`);
  }
  const frame = new Uint8Array(json.length + 1);
  frame[0] = type;
  frame.set(json, 1);
  return frame;
}

export function encodeHello(hello: Hello): Uint8Array {
  return encode(FRAME.hello, hello);
}

export function encodeWelcome(welcome: Welcome): Uint8Array {
  return encode(FRAME.welcome, welcome);
}

export function encodeReject(reject: Reject): Uint8Array {
  return encode(FRAME.reject, reject);
}

/**
 * Reads the first message of either direction.
 * @throws ProtocolError `version_unsupported` or `bad_handshake`; the detail says which key.
 */
export function decodeHandshake(message: Uint8Array): HandshakeMessage {
  const type = message[0];
  if (type === FRAME.hello) return { type: "hello", hello: readHello(readBody(message)) };
  if (type === FRAME.welcome) return { type: "welcome", welcome: readWelcome(readBody(message)) };
  if (type === FRAME.reject) return { type: "reject", reject: readReject(readBody(message)) };
  throw new ProtocolError("bad_handshake", "the first frame is not a handshake frame");
}

/** The exact bytes that the proof of a resume is made over. */
export function proofInput(session: string, attempt: number, received: number): Uint8Array {
  return encoder.encode(`culvert.v1 resume\n${session}\n${attempt}\n${received}`);
}

function readBody(message: Uint8Array): JsonReader {
  if (message.length > MAX_CONTROL_BYTES) throw new ProtocolError("bad_handshake", "too large");
  const value = parseBoundedJson(message.subarray(1));
  const reader = new JsonReader(value, "bad_handshake");
  return reader;
}

function readVersion(reader: JsonReader): number {
  const version = reader.integer("version", 0, 2 ** 32);
  if (version !== PROTOCOL_VERSION) {
    throw new ProtocolError(
      "version_unsupported",
      `the peer speaks ${version}, this side ${PROTOCOL_VERSION}`,
    );
  }
  return version;
}

function readHello(reader: JsonReader): Hello {
  const version = readVersion(reader);
  const resume = reader.optionalObject("resume");
  return {
    version,
    instance: reader.matching("instance", /^[0-9a-f]{32}$/),
    ...(reader.has("attempt") ? { attempt: reader.integer("attempt", 0, Number.MAX_SAFE_INTEGER) } : {}),
    name: reader.string("name", 1, MAX_NAME),
    agent: reader.string("agent", 0, MAX_NAME),
    limits: readLimits(reader.object("limits")),
    keepalive: readKeepalive(reader.object("keepalive")),
    ...(resume === undefined ? {} : { resume: readResume(resume) }),
  };
}

function readResume(reader: JsonReader): Resume {
  return {
    session: reader.string("session", 1, 128),
    attempt: reader.integer("attempt", 1, Number.MAX_SAFE_INTEGER),
    received: reader.integer("received", 0, Number.MAX_SAFE_INTEGER),
    proof: reader.matching("proof", /^[A-Za-z0-9_-]{43}$/),
  };
}

function readWelcome(reader: JsonReader): Welcome {
  const version = readVersion(reader);
  const secret = reader.has("secret") ? reader.matching("secret", /^[A-Za-z0-9_-]{43}$/) : undefined;
  return {
    version,
    session: reader.string("session", 1, 128),
    ...(secret === undefined ? {} : { secret }),
    received: reader.integer("received", 0, Number.MAX_SAFE_INTEGER),
    agent: reader.string("agent", 0, MAX_NAME),
    limits: readLimits(reader.object("limits")),
    keepalive: readKeepalive(reader.object("keepalive")),
    graceMs: reader.integer("graceMs", 0, MAX_MS),
  };
}

function readReject(reader: JsonReader): Reject {
  const text = reader.string("code", 1, 64);
  const retryAfterMs = reader.has("retryAfterMs") ? reader.integer("retryAfterMs", 0, MAX_MS) : undefined;
  const redirect = reader.has("redirect") ? reader.string("redirect", 1, 2048) : undefined;
  return {
    code: isErrorCode(text) ? text : "unknown_code",
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(redirect === undefined ? {} : { redirect }),
  };
}

function readLimits(reader: JsonReader): SessionLimits {
  return {
    maxStreams: reader.integer("maxStreams", 1, 2 ** 24),
    maxPendingOpens: reader.integer("maxPendingOpens", 1, 2 ** 24),
    maxTunnels: reader.integer("maxTunnels", 0, 2 ** 24),
    initialWindowBytes: reader.integer("initialWindowBytes", 1, 2 ** 30),
    replayLimitBytes: reader.integer("replayLimitBytes", 1, 2 ** 40),
  };
}

function readKeepalive(reader: JsonReader): KeepaliveTimes {
  return {
    intervalMs: reader.integer("intervalMs", 0, MAX_MS),
    timeoutMs: reader.integer("timeoutMs", 0, MAX_MS),
  };
}
