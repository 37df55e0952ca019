import type { Identity } from "../../src/index.ts";

/** Somebody, as the gate would say; `changes` are laid over it. */
export function somebody(changes: Partial<Identity> = {}): Identity {
  return {
    name: "token",
    user: undefined,
    credential: "shared-token",
    grants: undefined,
    expiresAt: undefined,
    isLocal: true,
    ...changes,
  };
}
