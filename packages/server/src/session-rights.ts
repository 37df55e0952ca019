import type { Action, Decision, IdentityLimits, Question } from "@culvert/policy";
import { CulvertError, type Endpoint } from "@culvert/protocol";
import type { Authority, Wish } from "./authority.ts";
import type { Identity } from "./identity.ts";
import type { IdentityLoad } from "./identity-load.ts";

/** What a session may do now: by the rules and limits of the identity that attached it last. */
export class SessionRights {
  /** A resume may come with another credential of the same identity. */
  identity: Identity;
  readonly #authority: Authority;
  readonly #load: IdentityLoad;

  constructor(identity: Identity, authority: Authority, load: IdentityLoad) {
    this.identity = identity;
    this.#authority = authority;
    this.#load = load;
  }

  /** What the client asks for in text, see {@link Authority.judge}. */
  judge(action: Action, text: string): Wish {
    return this.#authority.judge(this.identity, action, text);
  }

  decide(question: Question): Decision {
    return this.#authority.decide(this.identity, question);
  }

  /** Why an address may not be listened on. */
  faultOfListener(endpoint: Endpoint, address?: string): CulvertError | undefined {
    const { allowed, reason } = this.decide({ action: "listen", endpoint, address });
    return allowed ? undefined : new CulvertError("forbidden", reason);
  }

  /** See {@link IdentityLoad.faultOfOpen}. */
  faultOfOpen(more: 0 | 1): "stream_limit" | undefined {
    return this.#load.faultOfOpen(this.#limits, more);
  }

  /** As many listeners may the identity have; undefined: the server's limits count alone. */
  get mostListeners(): number | undefined {
    return this.#limits.listeners;
  }

  faultOfListen(): "tunnel_limit" | undefined {
    return this.#load.faultOfListen(this.#limits);
  }

  get #limits(): IdentityLimits {
    return this.#authority.grantsOf(this.identity).limits;
  }
}
