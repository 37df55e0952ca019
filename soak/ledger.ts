import type { Conversation } from "./conversation.ts";
import { SHAPE_NAMES } from "./shapes.ts";
import type { Verdict } from "./verdict.ts";

export interface ShapeCounts {
  connections: number;
  whole: number;
  reset: number;
  bytes: number;
}

export interface Stall {
  readonly ms: number;
  readonly id: number;
  readonly shape: string;
  readonly client: string;
}

/** What became of the connections. */
export class Ledger {
  readonly shapes = new Map<string, ShapeCounts>();
  /** Resets by their reasons. */
  readonly reasons = new Map<string, number>();
  /** The longest time that a connection waited for something, and whose it was. */
  longestStall: Stall | undefined;
  failures = 0;

  constructor() {
    for (const name of SHAPE_NAMES) this.shapes.set(name, { connections: 0, whole: 0, reset: 0, bytes: 0 });
  }

  add(conversation: Conversation, verdict: Verdict): void {
    const counts = this.shapes.get(conversation.play.shape)!;
    counts.connections += 1;
    counts.bytes += conversation.bytes;
    if (verdict.kind === "whole") counts.whole += 1;
    else if (verdict.kind === "failure") this.failures += 1;
    else {
      counts.reset += 1;
      this.reasons.set(verdict.reason, (this.reasons.get(verdict.reason) ?? 0) + 1);
    }
    // Who waits for a target that reads nothing waits for what never comes.
    const ms = conversation.play.target === "deaf" ? 0 : conversation.longestStallMs;
    if (ms > (this.longestStall?.ms ?? 0)) {
      const { id, play, client } = conversation;
      this.longestStall = { ms, id, shape: play.shape, client: client.name };
    }
  }

  get total(): ShapeCounts {
    const total: ShapeCounts = { connections: 0, whole: 0, reset: 0, bytes: 0 };
    for (const counts of this.shapes.values()) {
      total.connections += counts.connections;
      total.whole += counts.whole;
      total.reset += counts.reset;
      total.bytes += counts.bytes;
    }
    return total;
  }
}
