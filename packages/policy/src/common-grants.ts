import { type Grants, NOTHING, parseRules, type RuleSet } from "./grants.ts";
import type { Action } from "./rule.ts";

/**
 * What everybody may do who has no grants of its own; undefined when nothing was written out. Written rules for the one do not
 * allow anything of the other.
 * @param where names the lists in errors and explanations. Default: the options of a server.
 * @throws CulvertError `invalid_option`, naming the list and the rule.
 */
export function commonGrants(
  rules: {
    readonly allowConnect?: readonly string[] | undefined;
    readonly allowListen?: readonly string[] | undefined;
  },
  where: Readonly<Record<Action, string>> = { connect: "allowConnect", listen: "allowListen" },
): Grants | undefined {
  const { allowConnect, allowListen } = rules;
  if (allowConnect === undefined && allowListen === undefined) return undefined;
  const ruleSet = (action: Action, allow: readonly string[] = []): RuleSet => {
    return { ...NOTHING[action], allow: parseRules(allow, action, where[action]) };
  };
  return { ...NOTHING, connect: ruleSet("connect", allowConnect), listen: ruleSet("listen", allowListen) };
}
