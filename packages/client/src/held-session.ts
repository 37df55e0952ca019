import { Link, type Logger, makeProof } from "@culvert/peer";
import { proofInput, type Resume, type SessionOptions, type Welcome } from "@culvert/protocol";

/** The session that a client has, and what resuming it takes. */
export class HeldSession {
  readonly id: string;
  readonly link: Link;
  /** The server that has it. */
  url: URL;
  /** When its last transport went, on the monotonic clock. */
  detachedAt: number = performance.now();
  readonly #secret: string;

  /** @param welcome The server's yes to a new session, which comes with a secret. */
  constructor(
    welcome: Welcome & { readonly secret: string },
    url: URL,
    session: SessionOptions,
    logger: Logger,
  ) {
    this.id = welcome.session;
    this.#secret = welcome.secret;
    this.url = url;
    this.link = new Link({ role: "client", session, peerLimits: welcome.limits, logger });
  }

  /** The request to resume it. The old transport is fenced off before the number is read that says how far it came. */
  resume(attempt: number): Resume {
    const received = this.link.fence();
    const proof = makeProof(this.#secret, proofInput(this.id, attempt, received));
    return { session: this.id, attempt, received, proof };
  }

  /** Is this the server's yes to resuming this session? */
  isResumedBy(welcome: Welcome): boolean {
    return welcome.session === this.id && welcome.secret === undefined;
  }
}

/** Is this the server's yes to a new session? */
export function isNewSession(welcome: Welcome): welcome is Welcome & { readonly secret: string } {
  return welcome.secret !== undefined && welcome.received === 0;
}
