/** The texts of a login by key, in the HTTP request before the WebSocket. What signs and what draws lots comes from elsewhere. */

/** What the key of a client signs. */
export interface KeyLoginClaim {
  /** As the server gave it. */
  readonly challenge: string;
  /** The authority that the client dialed, as in `URL.host`: lower case, without the default port of its scheme. */
  readonly host: string;
  /** The path that it dialed, without a query. */
  readonly path: string;
}

/** What stands in `Authorization`. The path is not in it: the server knows what it was asked for. */
export interface KeyLogin {
  /** The public key: 32 bytes, base64. */
  readonly key: string;
  readonly challenge: string;
  readonly host: string;
  /** 64 bytes, base64. */
  readonly signature: string;
}

const SCHEME = "Culvert-Key";
/** What a server may ask to be signed: no text with a meaning of its own, so that nothing else can be had signed. */
const CHALLENGE = /^[A-Za-z0-9_-]{16,256}$/;
const HOST = /^[a-z0-9._:[\]-]{1,300}$/;
const PARTS: Readonly<Record<keyof KeyLogin, RegExp>> = {
  key: /^[A-Za-z0-9+/]{43}=$/,
  challenge: CHALLENGE,
  host: HOST,
  signature: /^[A-Za-z0-9+/]{86}==$/,
};
const encoder = new TextEncoder();

/** The exact bytes that are signed. The first line keeps them apart from whatever else a key may sign. */
export function keyLoginInput({ challenge, host, path }: KeyLoginClaim): Uint8Array {
  return encoder.encode(`culvert.v1 key login\n${challenge}\n${host}\n${path}`);
}

/**
 * The value of `WWW-Authenticate` of a server that takes keys; another challenge may stand before it.
 * @param isStale What was refused answered a challenge that does not count (any more), so nothing is known of the key. The word is
 *   that of RFC 7616 section 3.3.
 */
export function keyChallengeHeader(challenge: string, isStale = false): string {
  return `${SCHEME} challenge="${challenge}"${isStale ? ", stale=true" : ""}`;
}

/** The challenge in a `WWW-Authenticate`; undefined when there is none that may be signed. */
export function keyChallengeIn(header: string | undefined): string | undefined {
  const challenge = /(?:^|,)\s*Culvert-Key\s+challenge="([^"]*)"\s*(?:,|$)/i.exec(header ?? "")?.[1];
  return challenge !== undefined && CHALLENGE.test(challenge) ? challenge : undefined;
}

/** Does a `WWW-Authenticate` say that the challenge was at fault, and not who answered it? */
export function isStaleChallenge(header: string | undefined): boolean {
  return /(?:^|,)\s*Culvert-Key\s+challenge="[^"]*"\s*,\s*stale=true\s*(?:,|$)/i.test(header ?? "");
}

/** The value of `Authorization`. */
export function keyLoginHeader({ key, challenge, host, signature }: KeyLogin): string {
  return `${SCHEME} key="${key}", challenge="${challenge}", host="${host}", signature="${signature}"`;
}

/** Reads an `Authorization`: all four parts, each once, in any order. Undefined when it is anything else. */
export function parseKeyLogin(header: string): KeyLogin | undefined {
  const [scheme = "", rest = ""] = splitOnce(header.trim(), " ");
  if (scheme.toLowerCase() !== SCHEME.toLowerCase()) return undefined;
  const found = new Map<string, string>();
  for (const part of rest.split(",")) {
    const [, name, value] = /^\s*([a-z]+)="([^"]*)"\s*$/.exec(part) ?? [];
    if (name === undefined || value === undefined || found.has(name)) return undefined;
    found.set(name, value);
  }
  const read = (name: keyof KeyLogin): string | undefined => {
    const value = found.get(name);
    return value !== undefined && PARTS[name].test(value) ? value : undefined;
  };
  const [key, challenge, host, signature] = [read("key"), read("challenge"), read("host"), read("signature")];
  if (key === undefined || challenge === undefined || host === undefined || signature === undefined) {
    return undefined;
  }
  return found.size === 4 ? { key, challenge, host, signature } : undefined;
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
