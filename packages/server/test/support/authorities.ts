import { EVERYTHING, type Grants, type Users } from "@culvert/policy";
import { Authority } from "../../src/authority.ts";

/** What decides, without a server around it: everything is allowed to everybody, unless told otherwise. */
export function authorityOf({ users, common }: { users?: Users; common?: Grants } = {}): Authority {
  return new Authority({
    users,
    common: common ?? (users === undefined ? EVERYTHING : undefined),
    isLocalServer: () => false,
    context: {},
  });
}
