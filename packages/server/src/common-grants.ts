import { type Grants, parseGrants } from "@culvert/policy";

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
  return parseGrants(
    { connect: { allow: allowConnect ?? [] }, listen: { allow: allowListen ?? [] } },
    "common rules",
  );
}
