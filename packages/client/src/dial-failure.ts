import { CulvertError } from "@culvert/protocol";
import { shownUrl } from "./server-url.ts";

/** The beginning of an HTTP answer, where a WebSocket was wanted. */
export interface HttpRefusal {
  readonly status: number;
  /** The first bytes of the body, as text. */
  readonly body: string;
  /** It gave a challenge for a key. */
  readonly takesKeys?: boolean;
}

/**
 * What an HTTP answer means. Not retryable codes are refusals that do not heal by themselves; everything that a gateway
 * may say while the server behind it is away (5xx, 408, 425, 429) is `connect_failed`.
 *
 * @param credentials What was shown that could be wrong.
 */
export function refusalError(
  { status, body, takesKeys }: HttpRefusal,
  url: URL,
  credentials: "token" | "key" | undefined,
): CulvertError {
  const where = shownUrl(url);
  switch (status) {
    case 401:
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

/** What a failure of the connection, of TLS or of the HTTP exchange means. */
export function connectError(error: unknown, url: URL): CulvertError {
  const where = shownUrl(url);
  const code = codeOf(error);
  // The HTTP parser's own codes: bytes came, and they were not HTTP.
  if (code.startsWith("HPE_")) {
    return new CulvertError("not_culvert", `what answers at ${where} is not HTTP`, { cause: error });
  }
  return new CulvertError("connect_failed", `${where}: ${describe(error, code)}`, { cause: error });
}

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
