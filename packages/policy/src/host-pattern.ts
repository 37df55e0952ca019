import { canonicalHost } from "@culvert/protocol";
import {
  type Address,
  type AddressRange,
  formatRange,
  isInRange,
  maskedBytes,
  parseAddress,
  parseRange,
  prefixBits,
  singleRange,
} from "./address.ts";
import { nearest } from "./nearest.ts";
import { PolicyFault } from "./policy-fault.ts";
import { shownText } from "./shown-text.ts";
import { isKeywordFor, type Keyword } from "./special-addresses.ts";

/** What stands before the ports of a rule. */
export type HostPattern =
  | { readonly kind: "any" }
  | { readonly kind: "range"; readonly range: AddressRange }
  | { readonly kind: "keyword"; readonly keyword: Keyword }
  /** The server's own ports, wherever they are. */
  | { readonly kind: "own" }
  | { readonly kind: "name"; readonly name: string }
  /** One or more labels before `.suffix`, never the suffix itself. */
  | { readonly kind: "suffix"; readonly suffix: string };

const KEYWORDS: Readonly<Record<string, Keyword>> = {
  loopback: "loopback",
  localhost: "loopback",
  "link-local": "link-local",
  multicast: "multicast",
  unspecified: "unspecified",
  private: "private",
  public: "public",
};
/** What other programs call any host. */
const WORDS_FOR_ANY: readonly string[] = ["all", "any"];

/**
 * Reads the host of a rule to connect: `*`, an address or range (IPv6 in brackets), a keyword, a name, `*.suffix`. A
 * single word is a keyword or a name; a dot at its end makes it a name for certain.
 * @throws PolicyFault
 */
export function parseConnectHost(text: string): HostPattern {
  const literal = parseLiteral(text);
  if (literal !== undefined) return literal;
  const word = text.toLowerCase();
  if (word === "own") return { kind: "own" };
  const keyword = keywordOf(word);
  if (keyword !== undefined) return { kind: "keyword", keyword };
  if (text.startsWith("*.")) return { kind: "suffix", suffix: parseName(text.slice(2)) };
  if (!word.includes(".")) refuseMisspelt(word);
  return { kind: "name", name: parseName(text) };
}

/**
 * Reads the host of a rule to listen: `*`, an address or range, `loopback`. Names are none, since what they mean may change.
 * @throws PolicyFault
 */
export function parseListenHost(text: string): HostPattern {
  const literal = parseLiteral(text);
  if (literal !== undefined) return literal;
  const keyword = keywordOf(text.toLowerCase());
  if (keyword === "loopback") return { kind: "keyword", keyword };
  throw new PolicyFault(
    "a rule to listen begins with an address of this machine, a range such as 10.0.0.0/8, loopback or *",
  );
}

/** Does it match by the address alone? `own` and names never do: see {@link ./decision.ts}. */
export function isHostOfAddress(host: HostPattern, address: Address): boolean {
  if (host.kind === "any") return true;
  if (host.kind === "range") return isInRange(address, host.range);
  return host.kind === "keyword" && isKeywordFor(host.keyword, address);
}

/** Does it match by the name alone? `name` is canonical (lower case, no dot at its end, A-labels). */
export function isHostOfName(host: HostPattern, name: string): boolean {
  if (host.kind === "any") return true;
  if (host.kind === "name") return host.name === name;
  // Names are their labels with dots between, so what ends in ".suffix" has all labels of the suffix and at least one more.
  return host.kind === "suffix" && name.endsWith(`.${host.suffix}`);
}

/** RFC 6761 section 6.3: these names mean loopback, whatever a resolver says. */
export function isLocalhostName(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost");
}

function keywordOf(word: string): Keyword | undefined {
  return Object.hasOwn(KEYWORDS, word) ? KEYWORDS[word] : undefined;
}

/** `*`, addresses and ranges; undefined for what looks like none of them. */
function parseLiteral(text: string): HostPattern | undefined {
  if (text === "*") return { kind: "any" };
  if (text === "") throw new PolicyFault("the host is missing; write host:ports, or *:ports for every host");
  const isBracketed = text.startsWith("[");
  if (isBracketed && !text.endsWith("]")) {
    throw new PolicyFault("the brackets go around the whole address or range, as in [fd00::/8]:443");
  }
  const inner = isBracketed ? text.slice(1, -1) : text;
  if (!isBracketed && !inner.includes("/")) {
    const address = parseAddress(inner);
    return address === undefined ? undefined : { kind: "range", range: singleRange(address) };
  }
  return { kind: "range", range: parseWrittenRange(inner, isBracketed) };
}

function parseWrittenRange(text: string, isBracketed: boolean): AddressRange {
  const slash = text.indexOf("/");
  const address = parseAddress(slash === -1 ? text : text.slice(0, slash));
  if (isBracketed && !text.includes(":")) throw new PolicyFault("brackets are for IPv6; leave them out");
  if (address === undefined) {
    if (text.includes("%"))
      throw new PolicyFault("leave out the zone (after %), which means something on one machine only");
    const what = isBracketed
      ? "what is in the brackets is not an IPv6 address"
      : "what is before / is not an IPv4 address";
    throw new PolicyFault(`${what} or range; write 10.0.0.0/8 or [fd00::/8]`);
  }
  if (slash === -1) return singleRange(address);
  if (isBracketed && address.family === 4) {
    throw new PolicyFault("write a range of IPv4 addresses as such, as in 10.0.0.0/8");
  }
  const bits = prefixBits(text.slice(slash + 1), address.family);
  if (bits === undefined) {
    throw new PolicyFault(`the number after / goes from 0 to ${address.family === 4 ? 32 : 128}`);
  }
  const first = { family: address.family, bytes: maskedBytes(address.bytes, bits), bits };
  if (parseRange(`${address.text}${text.slice(slash)}`) === undefined) {
    throw new PolicyFault(
      `the address has bits behind the prefix; write ${writtenAs(first)} for the range, ` +
        `or ${writtenAs(singleRange(address))} for the address`,
    );
  }
  return first;
}

function writtenAs(range: AddressRange): string {
  return range.family === 6 ? `[${formatRange(range)}]` : formatRange(range);
}

function parseName(text: string): string {
  if (text.includes("*")) {
    throw new PolicyFault("a * stands alone for every host, or as the first label, as in *.svc.internal");
  }
  let name: string;
  try {
    name = canonicalHost(text);
  } catch (error) {
    throw new PolicyFault((error as Error).message);
  }
  if (parseAddress(name) !== undefined)
    throw new PolicyFault("an address has no names below it, and no dot at its end");
  if (isLocalhostName(name)) throw new PolicyFault("this name means loopback; write loopback:ports");
  return name;
}

/** A word that is nearly a keyword would be a name that nobody has, and the rule would do nothing. */
function refuseMisspelt(word: string): void {
  const meant = WORDS_FOR_ANY.includes(word) ? "*" : nearest(word, Object.keys(KEYWORDS));
  if (meant === undefined) return;
  throw new PolicyFault(
    `did you mean ${meant}? For a host of the name ${shownText(word)}, write it with a dot at its end`,
  );
}
