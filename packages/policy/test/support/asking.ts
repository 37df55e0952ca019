import { CulvertError, parseEndpoint } from "@culvert/protocol";
import {
  type Action,
  type Decision,
  decide,
  type Grants,
  type PolicyContext,
  parseGrants,
} from "../../src/index.ts";

/** Grants to connect, in short. */
export function connecting(allow: readonly string[], deny: readonly string[] = []): Grants {
  return parseGrants({ connect: { allow, deny } }, "users.alice");
}

/** Grants to listen, in short. */
export function listening(allow: readonly string[], deny: readonly string[] = []): Grants {
  return parseGrants({ listen: { allow, deny } }, "users.alice");
}

/** Decides on what somebody wrote; a text that is no endpoint is denied before any policy, as it is everywhere. */
export function ask(
  grants: Grants,
  action: Action,
  text: string,
  address?: string,
  context?: PolicyContext,
): Decision {
  try {
    return decide(grants, { action, endpoint: parseEndpoint(text), address }, context);
  } catch (error) {
    if (error instanceof CulvertError && error.code === "bad_address") {
      return { allowed: false, rule: undefined, reason: `no endpoint: ${error.message}` };
    }
    throw error;
  }
}

/** The detail of the `invalid_option` that `run` throws. */
export function invalidOption(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof CulvertError && error.code === "invalid_option") {
      return error.message.replace("an option is not valid: ", "");
    }
    throw error;
  }
  throw new Error("nothing was thrown");
}
