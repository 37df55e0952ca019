import { CulvertError } from "./errors.ts";

/**
 * An address with a scheme, in its one canonical form: host names in lower case without the dot at the end, IPv4 as four
 * decimal numbers, IPv6 as RFC 5952 writes it and without brackets, IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2) as the
 * IPv4 address that it is. Two endpoints mean the same listener or target if and only if their fields are equal (names
 * aside: what those resolve to is known to the dialing end only).
 */
export type Endpoint =
  | { readonly scheme: "tcp"; readonly host: string; readonly port: number }
  | { readonly scheme: "unix"; readonly path: string };

/** RFC 1035 section 2.3.4: 255 octets for a name, 63 for a label. */
const MAX_HOST_CHARACTERS = 255;
const MAX_LABEL_CHARACTERS = 63;
const MAX_PORT = 65_535;
/** `sun_path` holds 108 bytes with the NUL at its end, see unix(7); a longer path would be cut off without a word. */
const MAX_UNIX_PATH_BYTES = 107;
/** What an error shows of an address, so that a hostile one floods no log. */
const MAX_SHOWN_CHARACTERS = 80;

/**
 * Reads `tcp://host:port`, `host:port`, `[::1]:port` or `unix:///absolute/path`. Port 0 is allowed here, since a listener
 * may ask for any free port; {@link checkTarget} refuses it for a target.
 *
 * @param what names the thing in errors: a flag, an option, a field.
 * @throws CulvertError `bad_address`, with a detail that names `what`, shows the text and says how to mend it.
 */
export function parseEndpoint(text: string, what = "endpoint"): Endpoint {
  mustBeText(text, what);
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text);
  const rest = scheme === null ? text : text.slice(scheme[0].length);
  try {
    switch (scheme?.[1]?.toLowerCase() ?? "tcp") {
      case "tcp":
        return parseTcp(rest);
      case "unix":
        return { scheme: "unix", path: checkUnixPath(rest) };
      default:
        throw new Fault("the scheme is not known; write tcp://host:port or unix:///path");
    }
  } catch (fault) {
    throw fault instanceof Fault ? badAddress(what, text, fault.message) : fault;
  }
}

/**
 * Reads what somebody may write where a listener is meant: all that {@link parseEndpoint} reads, and in short `5678` or
 * `:5678` for `127.0.0.1:5678` (nothing is opened to a network that was not asked for), `*:5678` for `0.0.0.0:5678`, every
 * IPv4 address of the machine.
 *
 * @throws CulvertError `bad_address`, as {@link parseEndpoint}.
 */
export function listenEndpoint(text: string, what = "listen"): Endpoint {
  mustBeText(text, what);
  const short = /^(\*?):?([0-9]+)$/.exec(text);
  // "*5678" is a slip of the pen, not an address.
  if (short === null || text === `*${short[2]}`) return parseEndpoint(text, what);
  const port = parsePort(short[2]!);
  if (port === undefined) throw badAddress(what, text, PORT_MEND);
  return { scheme: "tcp", host: short[1] === "*" ? "0.0.0.0" : "127.0.0.1", port };
}

/** The text form: `tcp://127.0.0.1:80`, `tcp://[::1]:80`, `unix:///p`. {@link parseEndpoint} reads it back unchanged. */
export function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.scheme === "unix") return `unix://${endpoint.path}`;
  const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
  // Joined and not added: V8 keeps a sum as its parts, which each of ten thousand connections would hold on to.
  return ["tcp://", host, ":", endpoint.port].join("");
}

/**
 * Can `endpoint` be dialed? Nothing listens on port 0.
 * @throws CulvertError `bad_address`.
 */
export function checkTarget(endpoint: Endpoint, what = "target"): void {
  if (endpoint.scheme === "tcp" && endpoint.port === 0) {
    throw badAddress(what, formatEndpoint(endpoint), "a target needs a port from 1 to 65535");
  }
}

/** Why a text is no endpoint; becomes a CulvertError where the name of the thing is known. */
class Fault extends Error {}

/** Callers that no compiler checks hand over numbers and undefined. */
function mustBeText(text: unknown, what: string): void {
  if (typeof text !== "string")
    throw badAddress(what, String(text), "an endpoint is text, as in tcp://host:port");
}

function badAddress(what: string, text: string, why: string): CulvertError {
  // JSON leaves DEL, C1 and the characters that turn the writing direction as they are.
  const quoted = JSON.stringify(text.slice(0, MAX_SHOWN_CHARACTERS)).replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => {
      return `\\u{${character.codePointAt(0)!.toString(16)}}`;
    },
  );
  const isWhole = text.length <= MAX_SHOWN_CHARACTERS && quoted.length <= MAX_SHOWN_CHARACTERS + 2;
  const shown = isWhole ? quoted : `${quoted.slice(0, MAX_SHOWN_CHARACTERS)}…`;
  return new CulvertError("bad_address", `${what} ${shown}: ${why}`);
}

function parseTcp(text: string): Endpoint {
  const bracketed = /^\[([^\]]*)\](.*)$/s.exec(text);
  if (bracketed !== null) {
    const host = canonicalIpv6(bracketed[1]!);
    return { scheme: "tcp", host, port: portAfterColon(bracketed[2]!) };
  }
  const colon = text.indexOf(":");
  if (colon !== text.lastIndexOf(":")) throw new Fault("an IPv6 address needs brackets, as in [::1]:80");
  const host = colon === -1 ? text : text.slice(0, colon);
  const port = portAfterColon(colon === -1 ? "" : text.slice(colon));
  return { scheme: "tcp", host: canonicalHost(host), port };
}

const PORT_MEND = "the port must be a decimal number from 0 to 65535";

function portAfterColon(text: string): number {
  if (text === "" || text === ":") throw new Fault("the port is missing; write host:port");
  const port = text.startsWith(":") ? parsePort(text.slice(1)) : undefined;
  if (port === undefined) throw new Fault(PORT_MEND);
  return port;
}

/** One spelling a port: no sign, no spaces, no leading zeros. */
function parsePort(text: string): number | undefined {
  if (!/^(0|[1-9][0-9]{0,4})$/.test(text)) return undefined;
  const port = Number(text);
  return port <= MAX_PORT ? port : undefined;
}

/**
 * Lower case, no dot at the end. The alphabet is that of RFC 952 and 1123 and the underscore, which container networks
 * use; so nothing passes that a resolver, a log or a command line could take for something else (control characters,
 * `/`, `@`, `%00`, `-oProxyCommand`).
 *
 * @throws Error whose message is the mend, for a caller that knows what the text was meant to be.
 */
export function canonicalHost(text: string): string {
  if (text === "") throw new Fault("the host is missing; write host:port");
  if (text.length > MAX_HOST_CHARACTERS) throw new Fault("a host name has at most 255 characters");
  const host = (text.endsWith(".") ? text.slice(0, -1) : text).toLowerCase();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: every character beyond ASCII, whatever it is.
  if (/[^\x00-\x7f]/.test(host)) throw new Fault("write a name beyond ASCII in its xn-- form");
  const labels = host.split(".");
  for (const label of labels) checkLabel(label);
  // Whoever ends in a number is an IPv4 address (https://url.spec.whatwg.org/#ends-in-a-number-checker). The old forms
  // that inet_aton takes (0x7f.1, 0177.0.0.1, 2130706433) would let one address wear many faces before a policy.
  if (/^([0-9]+|0x[0-9a-f]*)$/.test(labels.at(-1)!) && !isIpv4(host)) {
    throw new Fault("an IPv4 address is four decimal numbers up to 255, as in 127.0.0.1");
  }
  return host;
}

function checkLabel(label: string): void {
  if (label === "") throw new Fault("a part of the host name between two dots is empty");
  if (label.length > MAX_LABEL_CHARACTERS) {
    throw new Fault("a part of the host name is longer than 63 characters");
  }
  if (!/^[a-z0-9_-]+$/.test(label)) {
    throw new Fault("a host name has only letters, digits, hyphens, underscores and dots");
  }
  if (label.startsWith("-") || label.endsWith("-")) {
    throw new Fault("no part of a host name begins or ends with a hyphen");
  }
}

function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return (
    parts.length === 4 && parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)
  );
}

/** The one spelling of an IPv6 address, without brackets; of an IPv4 address that is mapped into it, that of IPv4. */
export function canonicalIpv6(text: string): string {
  if (text.includes("%")) {
    throw new Fault("an IPv6 zone id (after %) names an interface of one machine only; leave it out");
  }
  const groups = ipv6Groups(text);
  if (groups === undefined) throw new Fault("what is in the brackets is not an IPv6 address");
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (!isMapped) return formatIpv6(groups);
  const [high, low] = [groups[6]!, groups[7]!];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/** The eight groups of RFC 4291 section 2.2, or undefined. */
export function ipv6Groups(text: string): number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  // "::" stands for at least one group.
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

/** Groups between colons; the last one of the address may be IPv4 and then stands for two. */
function groupsOf(text: string, isLast: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (isLast && index === parts.length - 1 && isIpv4(part)) {
      const [a, b, c, d] = part.split(".").map(Number);
      groups.push(a! * 256 + b!, c! * 256 + d!);
    } else if (/^[0-9A-Fa-f]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}

/** RFC 5952: lower case, no leading zeros, the first of the longest runs of two or more zero groups as `::`. */
function formatIpv6(groups: readonly number[]): string {
  let start = 0;
  let length = 1;
  for (let at = 0; at < 8; at += 1) {
    let end = at;
    while (end < 8 && groups[end] === 0) end += 1;
    if (end - at > length) {
      start = at;
      length = end - at;
    }
  }
  const hex = groups.map((group) => group.toString(16));
  if (length === 1) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

/** One spelling a path too: what a policy compares must not have a second form. */
function checkUnixPath(path: string): string {
  if (!path.startsWith("/")) throw new Fault("the path must be absolute; write unix:///run/name.sock");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  if (/[\x00-\x1f\x7f]/.test(path)) throw new Fault("the path has a NUL or another control character");
  if (!path.isWellFormed()) throw new Fault("the path is not well-formed Unicode");
  const parts = path.slice(1).split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) {
    throw new Fault("the path must name a file, without empty parts, . or ..");
  }
  if (new TextEncoder().encode(path).length > MAX_UNIX_PATH_BYTES) {
    throw new Fault("a socket path has at most 107 bytes; choose a shorter one");
  }
  return path;
}
