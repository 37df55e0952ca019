import type { Logger } from "@culvert/peer";
import type { ErrorCode, MemoryPool } from "@culvert/protocol";
import type { ServerSession } from "./server-session.ts";

export interface SessionRoomOptions {
  readonly maxSessions: number;
  readonly maxDetachedSessions: number;
  readonly memory: MemoryPool;
  readonly sessions: () => readonly ServerSession[];
  readonly logger: Logger;
}

/** Sessions that are about to be made. */
interface Expected {
  readonly all: number;
  /** Of the identity that asks. */
  readonly own: number;
}

/**
 * How many sessions there may be. Clients that connect and vanish must not keep others out, so it is detached sessions that give
 * way, the longest detached one first; those that are there are never thrown out for it.
 */
export class SessionRoom {
  readonly #options: SessionRoomOptions;
  #relieving = false;

  constructor(options: SessionRoomOptions) {
    this.#options = options;
  }

  /**
   * Why there is no place for one more session, if there is none. May end a detached one to make place.
   * @param owner The identity that asks. @param most As many may it have.
   */
  faultFor(owner: string, most: number | undefined, expected: Expected): ErrorCode | undefined {
    const { memory, sessions, maxSessions } = this.#options;
    if (!memory.takesNewSessions) return "resource_exhausted";
    // By the limit of the identity only its own give way.
    const own = sessions().filter(({ who }) => who.name === owner);
    // Several, where the limit was higher before; none where that would not be enough.
    const tooMany = most === undefined ? 0 : own.length + expected.own + 1 - most;
    const detached = longestFirst(own);
    if (tooMany > detached.length) return "session_limit";
    for (const session of detached.slice(0, Math.max(0, tooMany))) this.#giveWay(session, "session_limit");
    if (sessions().length + expected.all < maxSessions) return undefined;
    return this.#endLongest("session_limit", sessions()) ? undefined : "session_limit";
  }

  /**
   * Lets detached sessions go while there are too many, or the memory is used up. Not at once: the session that took the
   * last of it is in the middle of something, and one that was detached may be so for the moment of a resume only.
   */
  relieveSoon(): void {
    if (this.#relieving) return;
    this.#relieving = true;
    setImmediate(() => {
      this.#relieving = false;
      const { memory, sessions, maxDetachedSessions } = this.#options;
      const detached = longestFirst(sessions());
      const excess = Math.max(0, detached.length - maxDetachedSessions);
      for (const session of detached.slice(0, excess)) this.#giveWay(session, "session_limit");
      while (memory.level === "full" && this.#endLongest("resource_exhausted", sessions()));
    });
  }

  /** False when none of them is detached. */
  #endLongest(code: "session_limit" | "resource_exhausted", among: readonly ServerSession[]): boolean {
    const detached = longestFirst(among);
    // Who has no more memory than its own part has little to give.
    const large = detached.find(({ takenBytes }) => takenBytes > 0);
    const longest = code === "resource_exhausted" ? (large ?? detached[0]) : detached[0];
    if (longest !== undefined) this.#giveWay(longest, code);
    return longest !== undefined;
  }

  #giveWay({ identity, link }: ServerSession, code: "session_limit" | "resource_exhausted"): void {
    const { id, owner, name } = identity;
    const { used: bytes, level } = this.#options.memory;
    this.#options.logger.warn(
      { session: id, owner, client: name, code, bytes, level },
      "detached session gives way",
    );
    link.close(code);
  }
}

/** Those that are detached. */
function longestFirst(sessions: readonly ServerSession[]): ServerSession[] {
  const detached = sessions.filter((session) => session.detachedSince !== undefined);
  return detached.sort((a, b) => (a.detachedSince ?? 0) - (b.detachedSince ?? 0));
}
