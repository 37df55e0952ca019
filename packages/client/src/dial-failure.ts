import { CulvertError, type ErrorCode } from "@culvert/protocol";
import { shownUrl } from "./server-url.ts";

/** The beginning of an HTTP answer, where a WebSocket was wanted. */
export interface HttpRefusal {
  readonly status: number;
  /** The first bytes of the body, as text. */
  readonly body: string;
  /** It gave a challenge for a key. */
  readonly takesKeys?: boolean;
  /** It did not look at the key, since it did not know the challenge. */
  readonly isStale?: boolean;
}

/**
 * What an HTTP answer means. Not retryable codes are refusals that do not heal by themselves; everything that a gateway
 * may say while the server behind it is away (5xx, 408, 425, 429) is `connect_failed`.
 *
 * @param credentials What was shown that could be wrong.
 */
export function refusalError(
  { status, body, takesKeys, isStale }: HttpRefusal,
  url: URL,
  credentials: "token" | "key" | undefined,
): CulvertError {
  const where = shownUrl(url);
  switch (status) {
    case 401:
      if (isStale === true && credentials === "key") {
        return new CulvertError(
          "connect_failed",
          `${where} does not know its challenge: it was just started, or several servers answer there`,
        );
      }
      return new CulvertError("unauthorized", `${where} answered 401${doubt(credentials, takesKeys)}`);
    case 407:
      return new CulvertError("unauthorized", `a proxy on the way to ${where} wants credentials (407)`);
    case 403:
      return new CulvertError("refused_by_server", `${where} answered 403`);
    case 400:
      // Our server answers so when the subprotocol is not offered that it speaks; any other server for its own reasons.
      return /culvert/i.test(body)
        ? new CulvertError("version_unsupported", `${where} is a Culvert server of another version`)
        : new CulvertError("not_culvert", `${where} answered 400`);
    case 426:
      return new CulvertError(
        "not_culvert",
        `${where} saw a plain HTTP request (426): a proxy on the way must pass on the headers Upgrade and Connection`,
      );
    case 404:
      return new CulvertError("not_culvert", `${where} answered 404: is the path right?`);
    case 408:
    case 425:
    case 429:
      return new CulvertError("connect_failed", `${where} answered ${status}`);
    default:
      return status >= 500
        ? new CulvertError("connect_failed", `${where} answered ${status}`)
        : new CulvertError("not_culvert", `${where} answered ${status} instead of opening a WebSocket`);
  }
}

function doubt(credentials: "token" | "key" | undefined, takesKeys = false): string {
  if (credentials === undefined) return "";
  if (credentials === "token") return ": is the token right?";
  return takesKeys
    ? ": does it know the key, and itself by the name in this URL?"
    : " and takes no login by key";
}

/**
 * What a failure of the connection, of TLS or of the HTTP exchange means.
 * @param isSecured The TLS handshake was done; the server's part in it may still come.
 */
export function connectError(error: unknown, url: URL, isSecured = false): CulvertError {
  const where = shownUrl(url);
  const code = codeOf(error);
  const fail = (as: ErrorCode, sentence: string): CulvertError =>
    new CulvertError(as, sentence, { cause: error });
  // The HTTP parser's own codes: bytes came, and they were not HTTP.
  if (code.startsWith("HPE_")) return fail("not_culvert", `what answers at ${where} is not HTTP`);
  if (NO_TLS.has(code)) {
    return fail("not_culvert", `what answers at ${where} speaks no TLS: use ws://, or another port`);
  }
  if (code === "ERR_SSL_TLSV1_UNRECOGNIZED_NAME") {
    return fail("not_culvert", `what answers at ${where} has no server of that name: is the host right?`);
  }
  const alert = /^ERR_SSL_.*_ALERT_(.+)$/.exec(code)?.[1] ?? "";
  if (code === "ERR_SSL_UNSUPPORTED_PROTOCOL" || alert === "PROTOCOL_VERSION") {
    return fail(
      "not_culvert",
      `what answers at ${where} speaks neither TLS 1.2 nor 1.3; older ones are not safe`,
    );
  }
  const refused = REFUSED_BY_ALERT[alert];
  if (refused !== undefined) return fail("refused_by_server", `${where} ${refused}`);
  // It reads the client's certificate when the client is done already, and whoever only closes then does not say why.
  const hint = CLOSED.has(code) ? closedHint(url, isSecured, error) : "";
  return fail("connect_failed", `${where}: ${describe(error, code)}${hint}`);
}

/** Why a server may have closed without a word. A port of TLS gives plain HTTP no answer (RFC 8446 has none for it). */
function closedHint(url: URL, isSecured: boolean, error: unknown): string {
  if (isSecured)
    return " right after the TLS handshake: does it accept this client's certificate, or want one?";
  const wasConnected = (error as { readonly syscall?: unknown } | null)?.syscall !== "connect";
  return url.protocol === "ws:" && wasConnected
    ? " without an answer: if that is a port of TLS, use wss://"
    : "";
}

/** What came for a ServerHello was something else: HTTP, for one. */
const NO_TLS: ReadonlySet<string> = new Set([
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_PACKET_LENGTH_TOO_LONG",
  "ERR_SSL_HTTP_REQUEST",
]);

const GIVE_ONE = "give one (--cert and --key, tls.cert and tls.key)";

/** What a server says of a client's certificate by an alert (RFC 8446 section 6.2), as OpenSSL names it. */
const REFUSED_BY_ALERT: Readonly<Record<string, string>> = {
  CERTIFICATE_REQUIRED: `demands a client certificate: ${GIVE_ONE}`,
  // TLS 1.2 has no alert of its own for that.
  HANDSHAKE_FAILURE: `ends the TLS handshake: if it demands a client certificate, ${GIVE_ONE}`,
  UNKNOWN_CA: "does not know the CA of this client's certificate",
  CERTIFICATE_EXPIRED: "says that this client's certificate has expired",
  CERTIFICATE_REVOKED: "says that this client's certificate was revoked",
  UNSUPPORTED_CERTIFICATE: "does not take this client's certificate: is it one for clients?",
  CERTIFICATE_UNKNOWN: "does not accept this client's certificate",
  BAD_CERTIFICATE: "does not accept this client's certificate",
  ACCESS_DENIED: "does not accept this client's certificate",
};

const CLOSED: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE"]);

/** `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date. Undefined when absent or unreadable. */
export function retryAfterMs(value: string | undefined, now: number = Date.now()): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  // Date.parse takes nearly everything for a date; one of HTTP ends in GMT.
  const date = value.endsWith(" GMT") ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function codeOf(error: unknown): string {
  const code = (error as { readonly code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
}

function describe(error: unknown, code: string): string {
  // Several addresses were tried: the message of the whole is empty, those of the parts are not.
  if (error instanceof AggregateError)
    return error.errors.map((part) => describe(part, codeOf(part))).join("; ");
  const message = error instanceof Error ? error.message : String(error);
  return message === "" ? code : message;
}
