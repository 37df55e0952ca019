import { ERRORS, type ErrorCode } from "@culvert/protocol";

/** The answers to a resume that say: this session is gone, make a new one. */
const SESSION_GONE: ReadonlySet<ErrorCode> = new Set([
  "session_unknown",
  "session_expired",
  "replay_gap",
  // It gave way while it was detached.
  "session_limit",
  "resource_exhausted",
]);

/** Causes at the end of a session after which the client must not come back by itself. */
const STAY_AWAY: ReadonlySet<ErrorCode> = new Set([
  "displaced",
  "revoked",
  "unauthorized",
  "refused_by_server",
  "forbidden",
  "version_unsupported",
]);

export function isSessionGone(code: ErrorCode): boolean {
  return SESSION_GONE.has(code);
}

/** A session ended for this reason; is it no use to make another one? Coming back after `displaced` would displace back. */
export function mustStayAway(code: ErrorCode): boolean {
  return STAY_AWAY.has(code);
}

/**
 * What says that there is no Culvert server of this version at the address, or a wrong one, as long as there never was a session.
 * Later it is a gateway whose server is being replaced, a byte that was changed on the way, a network that asks its guests to log
 * in first, or a certificate that is being renewed, and heals.
 */
const WRONG_ADDRESS: ReadonlySet<ErrorCode> = new Set(["not_culvert", "bad_handshake", "untrusted_server"]);

/** A dial was refused with this code; can only a person mend that? */
export function isFinalRefusal(code: ErrorCode, hadSession: boolean): boolean {
  if (hadSession && WRONG_ADDRESS.has(code)) return false;
  return !ERRORS[code].retryable;
}
