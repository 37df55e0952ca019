import type { LookupAddress } from "node:dns";
import { isIP } from "node:net";
import { type Action, type Decision, decide, type Grants } from "@culvert/policy";
import { checkTarget, type Endpoint, formatEndpoint, listenEndpoint, parseEndpoint } from "@culvert/protocol";
import { codeOf } from "./input-file.ts";
import { asUsage } from "./option-fault.ts";

/** What a name stands for, as `dns.promises.lookup` with `all` says it. */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>;

/** What a server decides, and why. */
export interface Verdict {
  readonly allowed: boolean;
  /** One sentence. */
  readonly reason: string;
  /** For each address that would be dialed or bound; empty where the answer needs none. */
  readonly addresses: readonly (Decision & { readonly address: string })[];
  /** The rule that decided; that of the first address that is allowed, where there are some. */
  readonly rule: Decision["rule"];
  /** Why nothing could be looked up; the answer then holds for the name only. */
  readonly unresolved: string | undefined;
}

/** @throws UsageError when `text` is not what a client may ask for. */
export function questionedEndpoint(action: Action, text: string): Endpoint {
  return asUsage(() => {
    if (action === "listen") return listenEndpoint(text);
    const endpoint = parseEndpoint(text, action);
    checkTarget(endpoint, action);
    return endpoint;
  });
}

/**
 * Decides as a server does: by the name first, and nothing is looked up that cannot be allowed; then each address by itself,
 * and those that are allowed are used.
 *
 * @param address Judged instead of what the name stands for here.
 */
export async function verdictOf(
  grants: Grants,
  action: Action,
  endpoint: Endpoint,
  address: string | undefined,
  resolve: Resolve,
): Promise<Verdict> {
  const byName = decide(grants, { action, endpoint });
  const first: Verdict = { ...byName, addresses: [], unresolved: undefined };
  if (endpoint.scheme === "unix" || !byName.allowed) return first;
  let addresses: readonly string[];
  if (address !== undefined) addresses = [address];
  else if (isIP(endpoint.host) !== 0) addresses = [endpoint.host];
  else {
    try {
      addresses = (await resolve(endpoint.host)).map((one) => one.address);
    } catch (error) {
      return { ...first, unresolved: `${endpoint.host} cannot be looked up here (${codeOf(error)})` };
    }
  }
  const judged = addresses.map((one) => ({
    address: one,
    ...decide(grants, { action, endpoint, address: one }),
  }));
  const decisive = judged.find(({ allowed }) => allowed) ?? judged[0] ?? byName;
  const { allowed, reason, rule } = decisive;
  return { allowed, reason, rule, addresses: judged, unresolved: undefined };
}

/** As JSON, for scripts. */
export function verdictRecord(action: Action, endpoint: Endpoint, verdict: Verdict): Record<string, unknown> {
  const { allowed, reason, rule, addresses, unresolved } = verdict;
  return {
    allowed,
    action,
    endpoint: formatEndpoint(endpoint),
    reason,
    ...ruleRecord(rule),
    addresses: addresses.map((one) => ({
      address: one.address,
      allowed: one.allowed,
      reason: one.reason,
      ...ruleRecord(one.rule),
    })),
    ...(unresolved === undefined ? {} : { unresolved }),
  };
}

function ruleRecord(rule: Decision["rule"]): { rule?: { text: string; where: string } } {
  return rule === undefined ? {} : { rule: { text: rule.text, where: rule.where } };
}
