import { isIP } from "node:net";
import type { DialDecision } from "@culvert/peer";
import type { Decision } from "@culvert/policy";
import { CulvertError, type Endpoint } from "@culvert/protocol";
import type { Wish } from "./authority.ts";
import type { SessionRights } from "./session-rights.ts";

/** A stream that may be dialed, if an address of its target may. Judges each one when it is known, by the rules of that moment. */
export class JudgedDial implements Extract<DialDecision, { kind: "dial" }> {
  readonly kind = "dial";
  readonly endpoint: Endpoint;
  readonly #decisions = new Map<string, Decision>();
  readonly #rights: SessionRights;

  /** @param wish as {@link SessionRights.judge} said it in this turn. */
  constructor(wish: Extract<Wish, { kind: "wish" }>, rights: SessionRights) {
    const { endpoint, decision } = wish;
    this.endpoint = endpoint;
    this.#rights = rights;
    // An address was asked for: nothing more will be known of it.
    if (endpoint.scheme === "tcp" && isIP(endpoint.host) !== 0) this.#decisions.set(endpoint.host, decision);
  }

  readonly faultOf = (address: string): CulvertError | undefined => {
    const question = { action: "connect", endpoint: this.endpoint, address } as const;
    const decision = this.#decisions.get(address) ?? this.#rights.decide(question);
    this.#decisions.set(address, decision);
    return decision.allowed ? undefined : new CulvertError("forbidden", `${address}: ${decision.reason}`);
  };

  /** The rules have changed: why it would not be dialed now, if an address that it was allowed is not allowed any more. */
  faultNow(): CulvertError | undefined {
    const { endpoint } = this;
    const allowed = [...this.#decisions].filter(([, decision]) => decision.allowed);
    const addresses = allowed.length === 0 ? [undefined] : allowed.map(([address]) => address);
    const now = addresses.map((address) => this.#rights.decide({ action: "connect", endpoint, address }));
    const fault = now.find((decision) => !decision.allowed);
    return fault === undefined ? undefined : new CulvertError("forbidden", fault.reason);
  }

  /** The addresses that the target turned out to have. */
  get addresses(): string[] {
    return [...this.#decisions.keys()];
  }

  /** The rule by which `address` was dialed; that of the target where there is no address. */
  ruleOf(address: string | undefined): string | undefined {
    const decision =
      address === undefined
        ? this.#rights.decide({ action: "connect", endpoint: this.endpoint })
        : this.#decisions.get(address);
    return decision?.rule?.where;
  }
}
