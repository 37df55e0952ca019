import { parseEndpoint } from "@culvert/protocol";
import { type HostPattern, parseConnectHost, parseListenHost } from "./host-pattern.ts";
import { PolicyFault } from "./policy-fault.ts";
import { type PortSet, parsePorts } from "./port-set.ts";
import { shownText } from "./shown-text.ts";

/** What somebody asks to do. */
export type Action = "listen" | "connect";

/** What a rule is about. */
type RulePattern =
  | { readonly kind: "tcp"; readonly host: HostPattern; readonly ports: PortSet }
  | { readonly kind: "unix"; readonly path: string };

/** One line of a grant, parsed. */
export interface Rule {
  /** As it was written. */
  readonly text: string;
  /** Its place, for explanations: `users.alice.connect.allow[0]`. */
  readonly where: string;
  readonly pattern: RulePattern;
}

/** Rules in one list: each open looks through them. */
export const MAX_RULES = 1000;
/** Longer than any rule that makes sense: a name of 255 characters and dozens of ports. */
const MAX_RULE_CHARACTERS = 512;

/**
 * Reads `host:ports` or `unix:/path`; to listen also `ports` alone, which means loopback. The grammar is in docs/policy.md.
 * @throws PolicyFault whose message begins with `where` and the text, and says how to mend it.
 */
export function parseRule(text: string, action: Action, where: string): Rule {
  try {
    if (text.length > MAX_RULE_CHARACTERS) {
      throw new PolicyFault(`a rule has at most ${MAX_RULE_CHARACTERS} characters`);
    }
    return Object.freeze({ text, where, pattern: Object.freeze(parsePattern(text, action)) });
  } catch (error) {
    if (!(error instanceof PolicyFault)) throw error;
    throw new PolicyFault(`${where} ${shownText(text)}: ${error.message}`);
  }
}

function parsePattern(text: string, action: Action): RulePattern {
  if (text.trim() === "") throw new PolicyFault("the rule is empty; take it out, or write host:ports");
  if (/\s/.test(text))
    throw new PolicyFault("a rule has no spaces; write several rules as several items of the list");
  if (/^unix:/i.test(text)) return { kind: "unix", path: parsePath(text.slice("unix:".length)) };
  if (text.includes("://")) throw new PolicyFault("leave out the scheme; write host:ports");
  const colon = colonBeforePorts(text);
  if (action === "listen") {
    const loopback: HostPattern = { kind: "keyword", keyword: "loopback" };
    if (colon === -1 && /^[0-9*,-]+$/.test(text)) {
      return { kind: "tcp", host: loopback, ports: parsePorts(text, 0) };
    }
    const { host, ports } = halvesOf(text, colon);
    return { kind: "tcp", host: parseListenHost(host), ports: parsePorts(ports, 0) };
  }
  const { host, ports } = halvesOf(text, colon);
  return { kind: "tcp", host: parseConnectHost(host), ports: parsePorts(ports, 1) };
}

/** Where the host ends; -1 when there is none but a host. */
function colonBeforePorts(text: string): number {
  const bracket = text.lastIndexOf("]");
  const colon = text.indexOf(":", bracket + 1);
  if (bracket === -1 && colon !== text.lastIndexOf(":")) {
    throw new PolicyFault("an IPv6 address needs brackets, as in [fd00::1]:443 or [fd00::/8]:443");
  }
  return colon;
}

function halvesOf(text: string, colon: number): { host: string; ports: string } {
  if (colon === -1)
    throw new PolicyFault("the ports are missing; write host:ports, or host:* for all of them");
  if (text.startsWith("[") && text[colon - 1] !== "]") {
    throw new PolicyFault("the brackets go around the whole address or range, as in [fd00::/8]:443");
  }
  return { host: text.slice(0, colon), ports: text.slice(colon + 1) };
}

/** As in an endpoint, one spelling a path; `unix:/p` and `unix:///p` are the same. */
function parsePath(text: string): string {
  const path = text.startsWith("///") ? text.slice(2) : text;
  try {
    const endpoint = parseEndpoint(`unix://${path}`);
    if (endpoint.scheme === "unix") return endpoint.path;
  } catch {
    // What it says shows the text once more.
  }
  throw new PolicyFault(
    "a socket is written unix:/run/name.sock: absolute, without empty parts, . or .., at most 107 bytes",
  );
}
