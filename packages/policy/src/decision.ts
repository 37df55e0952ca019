import { canonicalHost, type Endpoint } from "@culvert/protocol";
import { type Address, parseAddress } from "./address.ts";
import { dialReadings, isWildcard } from "./address-readings.ts";
import type { Grants, RuleSet } from "./grants.ts";
import { type HostPattern, isHostOfAddress, isHostOfName, isLocalhostName } from "./host-pattern.ts";
import { FIRST_UNPRIVILEGED_PORT, hasFreePort, hasPort, hasWrittenPort, type PortSet } from "./port-set.ts";
import {
  allowedBy,
  type Decision,
  denied,
  deniedBy,
  insteadOf,
  nothingMatches,
  quoted,
  shownAt,
  withReading,
  ZONE_WORDS,
} from "./reason.ts";
import type { Action, Rule } from "./rule.ts";
import { shownText } from "./shown-text.ts";
import { type SpecialZone, specialZoneOf, zoneNamedBy } from "./special-addresses.ts";

export interface Question {
  readonly action: Action;
  /** As it was asked for, in canonical form: what `parseEndpoint` gives. Any other form is denied. */
  readonly endpoint: Endpoint;
  /**
   * The IP address that is really dialed or bound, without brackets; undefined: a name that is not resolved yet. What is
   * no IP address is denied.
   */
  readonly address?: string | undefined;
}

export interface PolicyContext {
  /**
   * Is this address and port one of the server's own, where its tunnel endpoint or a page about it answers? `address` is
   * canonical. Asked for every address that the dialed one may stand for: for 0.0.0.0 also 127.0.0.1.
   */
  readonly isOwn?: ((address: string, port: number) => boolean) | undefined;
}

type TcpEndpoint = Endpoint & { readonly scheme: "tcp" };

/** One thing to be decided: an endpoint over TCP, and one address that it stands for. */
interface Case {
  readonly endpoint: TcpEndpoint;
  /** Undefined where the host of the endpoint is an address. */
  readonly name: string | undefined;
  readonly address: Address;
  readonly isOwn: boolean;
}

/**
 * The one decision: may the holder of these grants do that? Pure: the same arguments give the same answer, and it takes
 * time in proportion to the number of rules. Deny wins over allow, and what nothing allows is denied.
 *
 * With `question.address`, or an address for a host, the answer is final. For a name without one it only says whether some
 * address of it could be allowed, so that no name is looked up in vain; ask again with each address before it is dialed.
 */
export function decide(grants: Grants, question: Question, context: PolicyContext = {}): Decision {
  if (grants.unrestricted) return { allowed: true, rule: undefined, reason: "allowed: everything is" };
  const { action, endpoint } = question;
  const rules = grants[action];
  if (endpoint.scheme === "unix") return decideUnix(rules, action, endpoint.path);
  const name = hostName(endpoint.host);
  if (name === MALFORMED) return denied(`${shownText(endpoint.host)} is not a host in canonical form`);
  if (action === "connect" && endpoint.port === 0) return denied("nothing can be reached at port 0");
  const asked = name === undefined ? parseAddress(endpoint.host)! : undefined;
  if (question.address === undefined && asked === undefined)
    return decideName(rules, action, endpoint, name!);

  const address = question.address === undefined ? asked! : parseAddress(question.address);
  if (address === undefined) return denied(`${shownText(question.address!)} is not an IP address`);
  // What was asked for and what is dialed are one address, unless somebody made a mistake: then both must be allowed.
  const addresses = asked === undefined || asked.text === address.text ? [address] : [address, asked];
  const all = addresses.flatMap((each) => (action === "connect" ? dialReadings(each) : [each]));
  let first: Decision | undefined;
  for (const reading of all) {
    const isOwn = context.isOwn?.(reading.text, endpoint.port) ?? false;
    const one: Case = { endpoint, name, address: reading, isOwn };
    const decision = action === "connect" ? decideConnect(rules, one) : decideListen(rules, one);
    if (!decision.allowed) return reading === address ? decision : withReading(decision, address, reading);
    first ??= decision;
  }
  return first!;
}

function decideConnect(rules: RuleSet, one: Case): Decision {
  const { endpoint, name, address, isOwn } = one;
  const matches = (rule: Rule): boolean => {
    if (rule.pattern.kind !== "tcp" || !hasPort(rule.pattern.ports, endpoint.port)) return false;
    return isHostOfCase(rule.pattern.host, one);
  };
  const zone = specialZoneOf(address);
  const allow = rules.allow.find((rule) => {
    return matches(rule) && (isOwn ? isOwnRule(rule) : zone === undefined || isZoneNamed(rule, zone));
  });
  const deny = rules.deny.find(matches);
  if (deny !== undefined) return deniedBy(deny, allow);
  if (name !== undefined && isLocalhostName(name) && zone !== "loopback") {
    return denied(`${name} means loopback, and ${address.text} is none`);
  }
  if (allow !== undefined) return allowedBy(allow);
  if (isOwn || zone !== undefined) {
    const wider = insteadOf(rules.allow.find(matches));
    const [what, which] = isOwn
      ? [`${shownAt(address, endpoint.port)} is a port of the server itself`, "only a rule with own"]
      : [`${address.text} is ${ZONE_WORDS[zone!]}`, "only a rule that names it"];
    return denied(`${what}, which ${which} allows${wider}`);
  }
  return nothingMatches(rules, "connect", endpoint, (host) => isHostOfCase(host, one));
}

function decideListen(rules: RuleSet, one: Case): Decision {
  const { endpoint, address, isOwn } = one;
  const { port } = endpoint;
  const isWild = isWildcard(address);
  const isHost = (host: HostPattern): boolean => {
    // A listener on every address is more than one on each address of a range.
    const isExact = !isWild || host.kind === "any" || (host.kind === "range" && host.range.bits === 128);
    return isExact && isHostOfAddress(host, address);
  };
  const find = (list: readonly Rule[], isMeant: (host: HostPattern, ports: PortSet) => boolean) => {
    return list.find(({ pattern }) => pattern.kind === "tcp" && isMeant(pattern.host, pattern.ports));
  };
  const allow = find(rules.allow, (host, ports) => hasWrittenPort(ports, port) && isHost(host));
  const deny = find(rules.deny, (host, ports) => {
    // Port 0 becomes some free port, and a wildcard takes in every address: one that is denied may be among them.
    if (!(port === 0 ? hasFreePort(ports) : hasPort(ports, port))) return false;
    return isWild ? mayBeWithin(host, address) : isHost(host);
  });
  if (deny !== undefined) return deniedBy(deny, allow);
  if (isOwn) return denied(`${shownAt(address, port)} is a port of the server itself`);
  if (allow !== undefined) return allowedBy(allow);
  // What came near, and why it was not enough.
  const unwritten = find(rules.allow, (host, ports) => hasPort(ports, port) && isHost(host));
  if (unwritten !== undefined) {
    return denied(
      `port ${port} is below ${FIRST_UNPRIVILEGED_PORT} and must be written out${insteadOf(unwritten)}`,
    );
  }
  const narrow = find(
    rules.allow,
    (host, ports) => hasWrittenPort(ports, port) && isHostOfAddress(host, address),
  );
  if (narrow !== undefined) {
    const which = `only a rule with * or ${address.text}`;
    return denied(`${address.text} means every address, which ${which} allows${insteadOf(narrow)}`);
  }
  return nothingMatches(rules, "listen", endpoint, isHost);
}

/** A name whose addresses nobody knows yet. */
function decideName(rules: RuleSet, action: Action, endpoint: TcpEndpoint, name: string): Decision {
  const { port } = endpoint;
  const isLocal = isLocalhostName(name);
  const allow = rules.allow.find(({ pattern }) => {
    if (pattern.kind !== "tcp") return false;
    if (!(action === "listen" ? hasWrittenPort(pattern.ports, port) : hasPort(pattern.ports, port)))
      return false;
    const { host } = pattern;
    if (action === "listen") return !isLocal || host.kind === "any" || isLoopback(host);
    if (isLocal) return host.kind === "own" || isLoopback(host);
    return (host.kind !== "name" && host.kind !== "suffix") || isHostOfName(host, name);
  });
  // Whether an address rule denies it shows with the address; one for loopback denies localhost at once.
  const deny = rules.deny.find(({ pattern }) => {
    if (pattern.kind !== "tcp") return false;
    if (!(port === 0 ? hasFreePort(pattern.ports) : hasPort(pattern.ports, port))) return false;
    return (
      isHostOfName(pattern.host, name) ||
      (isLocal && pattern.host.kind === "keyword" && isLoopback(pattern.host))
    );
  });
  if (deny !== undefined) return deniedBy(deny, allow);
  if (allow !== undefined) {
    const isSure = isHostOfName(allow.pattern.kind === "tcp" ? allow.pattern.host : ANY, name);
    const open = isSure ? "unless its address is special or denied" : "which depends on its address";
    return {
      ...allowedBy(allow),
      reason: `${isSure ? "allowed" : "may be allowed"} by ${quoted(allow)}, ${open}`,
    };
  }
  if (isLocal) return denied(`${name} means loopback, which only a rule that names it allows`);
  return nothingMatches(rules, action, endpoint, (host) => isHostOfName(host, name));
}

function decideUnix(rules: RuleSet, action: Action, path: string): Decision {
  const matches = ({ pattern }: Rule): boolean => pattern.kind === "unix" && pattern.path === path;
  const allow = rules.allow.find(matches);
  const deny = rules.deny.find(matches);
  if (deny !== undefined) return deniedBy(deny, allow);
  if (allow !== undefined) return allowedBy(allow);
  return denied(
    `no rule allows to ${action === "listen" ? "listen on" : "connect to"} ${shownText(`unix:${path}`)}`,
  );
}

const ANY: HostPattern = { kind: "any" };
const MALFORMED: unique symbol = Symbol("malformed");

/** The name in an endpoint; undefined if it is an address. Bounded in length before anything looks at it. */
function hostName(host: string): string | undefined | typeof MALFORMED {
  const address = parseAddress(host);
  if (address !== undefined) return address.text === host ? undefined : MALFORMED;
  try {
    return canonicalHost(host) === host ? host : MALFORMED;
  } catch {
    return MALFORMED;
  }
}

function isHostOfCase(host: HostPattern, { name, address, isOwn }: Case): boolean {
  if (host.kind === "own") return isOwn;
  return isHostOfAddress(host, address) || (name !== undefined && isHostOfName(host, name));
}

function isOwnRule({ pattern }: Rule): boolean {
  return pattern.kind === "tcp" && pattern.host.kind === "own";
}

function isZoneNamed({ pattern }: Rule, zone: SpecialZone): boolean {
  if (pattern.kind !== "tcp") return false;
  const { host } = pattern;
  if (host.kind === "keyword") return host.keyword === zone;
  return host.kind === "range" && zoneNamedBy(host.range) === zone;
}

function isLoopback(host: HostPattern): boolean {
  if (host.kind === "keyword") return host.keyword === "loopback";
  return host.kind === "range" && zoneNamedBy(host.range) === "loopback";
}

/** May an address of a deny rule be one that a listener on this wildcard takes in? `::` takes in IPv4 too. */
function mayBeWithin(host: HostPattern, wildcard: Address): boolean {
  return host.kind !== "range" || wildcard.family === 6 || host.range.family === 4;
}
