import type { Conversation } from "./conversation.ts";
import type { Talker } from "./talker.ts";

/** How a connection ended. */
export type Verdict =
  | { readonly kind: "whole" }
  /** Cut off, as it had to be. */
  | { readonly kind: "reset"; readonly reason: string }
  | { readonly kind: "failure"; readonly text: string };

/** What is known of the time in which it lived. */
export interface Evidence {
  /** Why its session was lost meanwhile, if it was. */
  readonly loss: string | undefined;
  /** The process beside the visitor, or beside the target, was killed meanwhile: its kernel ended the sockets for it. */
  readonly visitorBereft: boolean;
  readonly hostBereft: boolean;
  /** The code with which the listening side says that it reset the visitor, if it says one. */
  readonly code: string | undefined;
  /** For how much of the connection's life there was trouble, ms. */
  readonly troubledMs: number;
}

/** A visitor that was not served for this long has waited in vain: the lower one of two limits of Culvert, roughly. */
const IN_VAIN_MS = 19_000;

/** Judges a connection of which both ends are over. */
export function judge(conversation: Conversation, evidence: Evidence): Verdict {
  const { visitor, host, play } = conversation;
  const wrong = visitor.wrong ?? host?.wrong;
  if (wrong !== undefined) {
    const where = visitor.wrong === undefined ? "at the target" : "at the visitor";
    return { kind: "failure", text: `${where}, ${wrong}` };
  }
  const short =
    shortEnd("visitor", visitor, host, evidence.visitorBereft) ??
    (host === undefined ? undefined : shortEnd("target", host, visitor, evidence.hostBereft));
  if (short !== undefined) return { kind: "failure", text: short };
  if (isWhole(visitor, host) && host !== undefined && isWhole(host, visitor)) return { kind: "whole" };

  const reason = reasonOf(conversation, evidence);
  if (reason !== undefined) return { kind: "reset", reason };
  const code = evidence.code === undefined ? "" : `, the log says ${evidence.code}`;
  return { kind: "failure", text: `a reset that nothing explains (${play.shape}${code})` };
}

/** A clean end although something is missing, or more than was said. */
function shortEnd(
  name: string,
  end: Talker,
  other: Talker | undefined,
  isBereft: boolean,
): string | undefined {
  const said = other?.said ?? 0;
  if (end.heard > said) return `the ${name} heard ${end.heard} bytes, and ${said} were said`;
  if (!end.hasHeardEnd || isBereft) return undefined;
  if (other?.hasEnded === true && end.heard === said) return undefined;
  // Who leaves with a close has ended as well, wherever it was.
  if (other?.hasClosed === true && other.said === end.heard) return undefined;
  const more = other?.hasEnded === true ? "" : ", which had not ended";
  return `the ${name} heard a clean end after ${end.heard} bytes of ${said}${more}`;
}

function isWhole(end: Talker, other: Talker | undefined): boolean {
  const hasHeardAll = end.hasHeardEnd && other?.hasEnded === true && end.heard === other.said;
  return hasHeardAll && end.error === undefined && !end.hasBrokenOff;
}

function reasonOf(
  { visitor, host, play, startedAt, overAt }: Conversation,
  evidence: Evidence,
): string | undefined {
  if (visitor.hasBrokenOff) {
    return play.visitor.leaves === undefined ? "its visitor reset it" : "its visitor left at once";
  }
  if (host?.hasBrokenOff) return "its target reset it";
  if (evidence.loss !== undefined) return evidence.loss;
  if (play.target === "closed") return "its target refused it";
  if (play.target === "rude" || play.target === "deaf") return "its target reset it";
  if (evidence.visitorBereft || evidence.hostBereft) return "a process was killed";
  const lifeMs = overAt - startedAt;
  // It was never served, as far as its visitor can tell.
  const waitedInVain = visitor.heard === 0 && lifeMs > IN_VAIN_MS && evidence.troubledMs > lifeMs / 2;
  if (!waitedInVain || evidence.code !== "visitor_wait_timeout") return undefined;
  return "it waited in vain for the WebSocket";
}
