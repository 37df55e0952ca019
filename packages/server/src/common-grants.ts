import { type Action, type Grants, NOTHING, parseRules, type RuleSet } from "@culvert/policy";

/**
 * What everybody may do who has no grants of its own; undefined when nothing was written out. Written rules for the one do not
 * allow anything of the other.
 * @throws CulvertError `invalid_option`, naming the option and the rule.
 */
export function commonGrants(options: {
  readonly allowConnect: readonly string[] | undefined;
  readonly allowListen: readonly string[] | undefined;
}): Grants | undefined {
  const { allowConnect, allowListen } = options;
  if (allowConnect === undefined && allowListen === undefined) return undefined;
  return {
    ...NOTHING,
    connect: ruleSet(allowConnect, "connect", "allowConnect"),
    listen: ruleSet(allowListen, "listen", "allowListen"),
  };
}

function ruleSet(allow: readonly string[] | undefined, action: Action, where: string): RuleSet {
  return { ...NOTHING[action], allow: parseRules(allow ?? [], action, where) };
}
