import type { IdentityLimits } from "@culvert/policy";
import { TokenBucket } from "./token-bucket.ts";

/** One session, as far as it counts for its identity. */
export interface CountedSession {
  /** Those that are not over, of both sides. */
  readonly streams: number;
  /** Listeners that it has or asks for. */
  readonly listeners: number;
}

/** A bucket is full again after a second, so nothing of a load that is empty for so long need be kept. */
const FORGET_MS = 1000;

/** What one identity has at the same time, all its sessions together. */
export class IdentityLoad {
  readonly #sessions = new Set<CountedSession>();
  #opens: TokenBucket | undefined;
  #perSecond = 0;
  /** Set while there is no session. */
  #forgetting: NodeJS.Timeout | undefined;

  add(session: CountedSession): void {
    clearTimeout(this.#forgetting);
    this.#sessions.add(session);
  }

  /** @param onEmpty Called when there was no session for as long as a bucket takes to be full. */
  remove(session: CountedSession, onEmpty: () => void): void {
    this.#sessions.delete(session);
    // Not at once: who ends its session and begins another one may open no more than who does not.
    if (this.#sessions.size === 0) this.#forgetting = setTimeout(onEmpty, FORGET_MS).unref();
  }

  /** Why one stream more may not be opened. @param more 1 if it is not counted as a stream of its session yet. */
  faultOfOpen({ streams, opensPerSecond }: IdentityLimits, more: 0 | 1): "stream_limit" | undefined {
    if (opensPerSecond !== undefined && !this.#mayOpen(opensPerSecond)) return "stream_limit";
    if (streams === undefined || this.#sum("streams") + more <= streams) return undefined;
    return "stream_limit";
  }

  /** The same for a listener, which is counted already. */
  faultOfListen({ listeners }: IdentityLimits): "tunnel_limit" | undefined {
    return listeners === undefined || this.#sum("listeners") <= listeners ? undefined : "tunnel_limit";
  }

  #sum(of: keyof CountedSession): number {
    let sum = 0;
    for (const session of this.#sessions) sum += session[of];
    return sum;
  }

  #mayOpen(perSecond: number): boolean {
    const now = performance.now();
    if (this.#opens === undefined || this.#perSecond !== perSecond) {
      // A hook may give each login another number; who goes from one to the other and back finds no full bucket.
      const left = this.#opens?.level(now) ?? perSecond;
      this.#perSecond = perSecond;
      this.#opens = new TokenBucket({ burst: perSecond, perSecond }, now, left);
    }
    return this.#opens.take(now);
  }
}

/** The loads of all identities that have sessions. */
export class IdentityLoads {
  readonly #byName = new Map<string, IdentityLoad>();

  /** Of the identity with that name. */
  of(name: string): IdentityLoad {
    const load = this.#byName.get(name) ?? new IdentityLoad();
    this.#byName.set(name, load);
    return load;
  }

  /** The session counts until what is returned is called. */
  enter(name: string, session: CountedSession): () => void {
    const load = this.of(name);
    load.add(session);
    return () => load.remove(session, () => void this.#byName.delete(name));
  }
}
