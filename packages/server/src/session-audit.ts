import type { DialDecision, DialWatch, PipeResult, VisitorWatch } from "@culvert/peer";
import { type ErrorCode, formatEndpoint, type IncomingStream } from "@culvert/protocol";
import type { Audit } from "./audit.ts";
import { JudgedDial } from "./judged-dial.ts";
import type { SessionIdentity } from "./server-events.ts";

/** Of a name, in one record: whoever answers for it may say thousands. */
const MOST_ADDRESSES = 16;

/** Records what one session does. */
export class SessionAudit implements DialWatch {
  readonly #audit: Audit;
  readonly #identity: () => SessionIdentity;

  constructor(audit: Audit, identity: () => SessionIdentity) {
    this.#audit = audit;
    this.#identity = identity;
  }

  get #by(): { session: string; identity: string; client: string } {
    const { id, owner, name } = this.#identity();
    return { session: id, identity: owner, client: name };
  }

  // -- what is dialed

  onConnected(stream: number, decision: DialDecision, address: string | undefined): void {
    if (!(decision instanceof JudgedDial)) return;
    const target = formatEndpoint(decision.endpoint);
    this.#audit.tell({ type: "open", ...this.#by, stream, target, address, rule: decision.ruleOf(address) });
  }

  onRefused(incoming: IncomingStream, decision: DialDecision, code: ErrorCode, reason?: string): void {
    if (code === "cancelled") return;
    const { target } = incoming.request;
    const addresses = decision instanceof JudgedDial ? decision.addresses.slice(0, MOST_ADDRESSES) : [];
    this.#audit.tellRefusal({
      type: "open_refused",
      ...this.#by,
      ...{ stream: incoming.id, target, addresses, code, reason },
    });
  }

  onClosed(stream: number, { durationMs, bytesIn, bytesOut, code }: PipeResult): void {
    this.#audit.tell({ type: "close", ...this.#by, stream, durationMs, bytesIn, bytesOut, code });
  }

  // -- what listens

  /** For the visitors of one listener. @param address where it listens, once it does. */
  visitors(address: () => string): VisitorWatch {
    return {
      onVisitor: (stream, visitor) =>
        this.#audit.tell({ type: "visit", ...this.#by, stream, address: address(), visitor }),
      onRefused: (visitor, code) =>
        this.#audit.tellRefusal({ type: "visit_refused", ...this.#by, address: address(), visitor, code }),
      onClosed: (stream, result) => this.onClosed(stream, result),
    };
  }

  listens(tunnel: number, listen: string, address: string): void {
    this.#audit.tell({ type: "listen", ...this.#by, tunnel, listen, address });
  }

  listenRefused(tunnel: number, listen: string, code: ErrorCode, reason: string | undefined): void {
    this.#audit.tellRefusal({ type: "listen_refused", ...this.#by, tunnel, listen, code, reason });
  }

  listenClosed(tunnel: number, listen: string, code: ErrorCode): void {
    this.#audit.tell({ type: "listen_closed", ...this.#by, tunnel, listen, code });
  }
}
