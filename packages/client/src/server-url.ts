import { CulvertError } from "@culvert/protocol";

const MAX_URL_LENGTH = 2048;
const WEB_SOCKET_SCHEME: Readonly<Record<string, "ws:" | "wss:">> = {
  "ws:": "ws:",
  "wss:": "wss:",
  "http:": "ws:",
  "https:": "wss:",
};

/**
 * Reads the address of a server: `ws://`, `wss://`, or the `http://` and `https://` forms of the same.
 * A query is allowed (some gateways route by it); it is never logged.
 *
 * @param what Name of the option, for the message. The text is not repeated in it: it could hold a secret.
 * @throws CulvertError `invalid_option`.
 */
export function parseServerUrl(text: unknown, what = "server"): URL {
  if (typeof text !== "string")
    throw new CulvertError("invalid_option", `${what} must be a URL, not ${typeof text}`);
  if (text.length > MAX_URL_LENGTH) {
    throw new CulvertError("invalid_option", `${what} must have at most ${MAX_URL_LENGTH} characters`);
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const scheme = url === undefined ? undefined : WEB_SOCKET_SCHEME[url.protocol];
  if (url === undefined || scheme === undefined) {
    throw new CulvertError(
      "invalid_option",
      `${what} must be a URL that begins with ws://, wss://, http:// or https://, for example ws://host2:9000`,
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new CulvertError(
      "invalid_option",
      `${what} must not contain a user name or password: use the option token`,
    );
  }
  if (url.hash !== "" || text.includes("#")) {
    throw new CulvertError("invalid_option", `${what} must not contain a fragment (#…)`);
  }
  url.protocol = scheme;
  return url;
}

/** Is it the same server, and the same endpoint of it? The query is not looked at: it may change with every dial. */
export function isSameServer(a: URL, b: URL): boolean {
  return a.origin === b.origin && a.pathname === b.pathname;
}

/** The address without its query, for logs and errors. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}
