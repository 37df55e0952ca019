import { orInvalidOption, PolicyFault } from "./policy-fault.ts";
import { type Action, MAX_RULES, parseRule, type Rule } from "./rule.ts";
import { readGrantsInput } from "./users-schema.ts";

export interface RuleSet {
  readonly allow: readonly Rule[];
  /** Wins over `allow`. */
  readonly deny: readonly Rule[];
}

/** What an identity may have at once; undefined: as much as the server's own limits allow. */
export interface IdentityLimits {
  /** Sessions, attached and detached. */
  readonly sessions?: number;
  /** Streams, of all its sessions together. */
  readonly streams?: number;
  /** Listeners on the server, of all its sessions together. */
  readonly listeners?: number;
  /** Streams that it may open in a second, after a burst of as many. */
  readonly opensPerSecond?: number;
}

/** What somebody may do. Nothing matches: denied. */
export interface Grants {
  /** Everything is allowed, and the rules are not looked at. */
  readonly unrestricted: boolean;
  readonly listen: RuleSet;
  readonly connect: RuleSet;
  readonly limits: IdentityLimits;
}

export interface RulesInput {
  /** A port alone, which is a rule to listen, may be a number. */
  readonly allow?: readonly (string | number)[] | undefined;
  readonly deny?: readonly (string | number)[] | undefined;
}

/** Grants as they are written in a file or an option. */
export interface GrantsInput {
  readonly listen?: RulesInput | undefined;
  readonly connect?: RulesInput | undefined;
  readonly limits?: { readonly [K in keyof IdentityLimits]: IdentityLimits[K] | undefined } | undefined;
}

const NO_RULES: RuleSet = Object.freeze({ allow: Object.freeze([]), deny: Object.freeze([]) });
const NO_LIMITS: IdentityLimits = Object.freeze({});

/** What the local user of a server on loopback may do. */
export const EVERYTHING: Grants = Object.freeze({
  unrestricted: true,
  listen: NO_RULES,
  connect: NO_RULES,
  limits: NO_LIMITS,
});

/** What anybody may do for whom nothing was written out. */
export const NOTHING: Grants = Object.freeze({ ...EVERYTHING, unrestricted: false });

/**
 * Reads the rules of one list.
 * @param where names the list in errors and explanations: `allowConnect` gives `allowConnect[0]`.
 * @throws CulvertError `invalid_option`
 */
export function parseRules(texts: readonly string[], action: Action, where: string): readonly Rule[] {
  return orInvalidOption(() => readRules(texts, action, where));
}

function readRules(
  texts: readonly (string | number)[] | undefined,
  action: Action,
  where: string,
): readonly Rule[] {
  if (texts === undefined) return NO_RULES.allow;
  if (!Array.isArray(texts)) throw new PolicyFault(`${where}: must be a list of rules`);
  if (texts.length > MAX_RULES) throw new PolicyFault(`${where}: a list has at most ${MAX_RULES} rules`);
  return Object.freeze(
    texts.map((text: unknown, at) => {
      const place = `${where}[${at}]`;
      const isPort = typeof text === "number" && action === "listen";
      if (typeof text !== "string" && !isPort)
        throw new PolicyFault(`${place}: a rule is text; put it in quotes`);
      return parseRule(String(text), action, place);
    }),
  );
}

/**
 * Reads grants as they are written in an option or given by a hook.
 * @param where names them in errors and explanations: `users.alice` gives `users.alice.connect.allow[0]`.
 * @throws CulvertError `invalid_option`, whose detail names the place and the mend.
 */
export function parseGrants(input: GrantsInput, where: string): Grants {
  return orInvalidOption(() => grantsOf(readGrantsInput(input, where), where));
}

/** @throws PolicyFault */
export function grantsOf({ listen, connect, limits }: GrantsInput, where: string): Grants {
  const ruleSet = (action: "listen" | "connect", input: GrantsInput["listen"]) => {
    return Object.freeze({
      allow: readRules(input?.allow, action, `${where}.${action}.allow`),
      deny: readRules(input?.deny, action, `${where}.${action}.deny`),
    });
  };
  const given = Object.entries(limits ?? {}).filter(([, value]) => value !== undefined);
  return Object.freeze({
    unrestricted: false,
    listen: ruleSet("listen", listen),
    connect: ruleSet("connect", connect),
    limits: Object.freeze(Object.fromEntries(given)),
  });
}
