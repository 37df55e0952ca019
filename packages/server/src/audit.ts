import { type Logger, safeText } from "@culvert/peer";
import type { AuditFact, AuditRecord } from "./audit-record.ts";
import type { ServerEvent } from "./server-events.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Refusals of a kind that are recorded at once, and then one a second: who is refused in a circle fills no disk. */
const RATE = { burst: 200, perSecond: 1 };

type RefusalFact = Extract<AuditFact, { leftOut?: number }>;

/** Refusals of one kind that were too many. */
interface Excess {
  readonly bucket: TokenBucket;
  leftOut: number;
  last: RefusalFact | undefined;
}

/** Writes down who did what. It adds the time, makes texts safe to write, and lets nobody write too much by being refused. */
export class Audit {
  readonly #write: (record: AuditRecord) => void;
  readonly #log: Logger;
  readonly #excess = new Map<string, Excess>();

  /** @param write must not throw; if it does, that is logged and nothing else comes of it. */
  constructor(write: (record: AuditRecord) => void, logger: Logger) {
    this.#write = write;
    this.#log = logger;
  }

  tell(fact: AuditFact): void {
    const record = { time: new Date().toISOString(), ...safe(fact) } as AuditRecord;
    try {
      this.#write(record);
    } catch (error) {
      this.#log.error({ error }, "the audit option failed");
    }
  }

  /** Those beyond the rate are counted, and the last of them is recorded when there is room. */
  tellRefusal(fact: RefusalFact): void {
    const excess = this.#excessOf(fact.type);
    if (excess.last === undefined && excess.bucket.take(performance.now())) {
      this.tell(fact);
      return;
    }
    if (excess.last === undefined) this.#tellLater(excess);
    else excess.leftOut += 1;
    excess.last = fact;
  }

  /** Nothing more is recorded later: what waits is recorded now. */
  close(): void {
    for (const excess of this.#excess.values()) this.#tellLast(excess);
  }

  /** Records what an event says. */
  hear(event: ServerEvent): void {
    if (event.type === "refused") {
      const { type: _, isUsual, ...refused } = event;
      if (isUsual === true) return; // the first half of a login, or a stranger who tried nothing
      this.tellRefusal({ type: "login_refused", ...refused });
    } else if (event.type === "session" && event.current !== "new") {
      const { id, owner, name, credential } = event.session;
      const what = event.current === "attached" ? begunOrResumed(event.previous) : event.current;
      const cause = event.cause === undefined ? {} : { cause: event.cause.code };
      this.tell({ type: "session", what, session: id, identity: owner, client: name, credential, ...cause });
    }
  }

  #excessOf(kind: string): Excess {
    const known = this.#excess.get(kind);
    if (known !== undefined) return known;
    const excess: Excess = { bucket: new TokenBucket(RATE, performance.now()), leftOut: 0, last: undefined };
    this.#excess.set(kind, excess);
    return excess;
  }

  #tellLater(excess: Excess): void {
    setTimeout(() => {
      if (excess.last === undefined) return;
      if (excess.bucket.take(performance.now())) this.#tellLast(excess);
      else this.#tellLater(excess);
    }, 1000 / RATE.perSecond).unref();
  }

  #tellLast(excess: Excess): void {
    const { last, leftOut } = excess;
    if (last === undefined) return;
    excess.last = undefined;
    excess.leftOut = 0;
    this.tell(leftOut === 0 ? last : { ...last, leftOut });
  }
}

function begunOrResumed(previous: string): "begun" | "resumed" {
  return previous === "new" ? "begun" : "resumed";
}

function safe(fact: AuditFact): object {
  return Object.fromEntries(
    Object.entries(fact).map(([key, value]) => [key, typeof value === "string" ? safeText(value) : value]),
  );
}
