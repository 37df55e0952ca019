import { type Endpoint, formatEndpoint } from "@culvert/protocol";
import type { Address } from "./address.ts";
import type { RuleSet } from "./grants.ts";
import type { HostPattern } from "./host-pattern.ts";
import { hasWrittenPort } from "./port-set.ts";
import type { Action, Rule } from "./rule.ts";
import { shownText } from "./shown-text.ts";
import type { SpecialZone } from "./special-addresses.ts";

export interface Decision {
  readonly allowed: boolean;
  /** The one that decided; undefined where none did: nothing matches, or an address that no rule names. */
  readonly rule: Rule | undefined;
  /** One sentence for the operator, without a dot: it names the rule and its place. Not for the peer. */
  readonly reason: string;
}

export const ZONE_WORDS: Readonly<Record<SpecialZone, string>> = {
  loopback: "a loopback address",
  "link-local": "a link-local address",
  multicast: "a multicast address",
  unspecified: "an unspecified address",
  metadata: "the address of a cloud's metadata service",
  reserved: "a reserved address",
  "local translation": "an address that a translator of the site turns into any other",
};

export function allowedBy(rule: Rule): Decision {
  return { allowed: true, rule, reason: `allowed by ${quoted(rule)}` };
}

export function deniedBy(rule: Rule, allow: Rule | undefined): Decision {
  const swallowed = allow === undefined ? "" : `, which wins over ${quoted(allow)}`;
  return { allowed: false, rule, reason: `denied by ${quoted(rule)}${swallowed}` };
}

export function denied(why: string): Decision {
  return { allowed: false, rule: undefined, reason: `denied: ${why}` };
}

/** Shows the rule that came nearest, if there is one for the host: a wrong port is the usual slip. To listen: or for the port. */
export function nothingMatches(
  rules: RuleSet,
  action: Action,
  endpoint: Endpoint,
  isHost: (host: HostPattern) => boolean,
): Decision {
  const near = rules.allow.find(({ pattern }) => pattern.kind === "tcp" && isHost(pattern.host));
  const elsewhere =
    action === "listen" && endpoint.scheme === "tcp" ? otherAddress(rules, endpoint.port) : "";
  const hint = near === undefined ? elsewhere : `; ${quoted(near)} is for other ports`;
  const what = formatEndpoint(endpoint).slice("tcp://".length);
  return denied(`no rule allows to ${action === "listen" ? "listen on" : "connect to"} ${what}${hint}`);
}

/** To listen, the usual slip is that ports alone are those of loopback. */
function otherAddress({ allow }: RuleSet, port: number): string {
  for (const rule of allow) {
    const { pattern } = rule;
    if (pattern.kind !== "tcp" || !hasWrittenPort(pattern.ports, port)) continue;
    const isLoopback = pattern.host.kind === "keyword" && pattern.host.keyword === "loopback";
    return `; ${quoted(rule)} is for ${isLoopback ? "loopback" : "another address"}`;
  }
  return "";
}

export function withReading(decision: Decision, address: Address, reading: Address): Decision {
  return { ...decision, reason: `${decision.reason} (${address.text} also reaches ${reading.text})` };
}

export function insteadOf(wider: Rule | undefined): string {
  return wider === undefined ? "" : `; ${quoted(wider)} does not`;
}

export function quoted(rule: Rule): string {
  return `${rule.where} ${shownText(rule.text)}`;
}

export function shownAt(address: Address, port: number): string {
  return formatEndpoint({ scheme: "tcp", host: address.text, port }).slice("tcp://".length);
}
