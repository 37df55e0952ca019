/**
 * How much of a pool is taken, in steps that each give up something cheaper than the next (after Envoy's overload
 * actions): `scarce` takes no new sessions, `tight` no new streams either and lets windows shrink, `full` gives up sessions
 * that are detached.
 */
export type MemoryLevel = "ample" | "scarce" | "tight" | "full";

const SCARCE = 0.8;
const TIGHT = 0.9;
const FULL = 0.95;
/** Promises alone never make the memory scarce: who keeps connections open keeps nobody out. */
const PROMISED = 0.5;
/** One session may promise a quarter of what is free for promises. */
const SESSION_SHARE = 4;

/** A session's own part, bytes: enough to go on, slowly, whatever the others take. */
export interface OwnedMemory {
  readonly replayBytes: number;
  readonly receiveBytes: number;
  /** Data leaves this much of the replay share to frames that must not wait behind it: windows, resets, accepts. */
  readonly keptForControlBytes: number;
}

const OWNED: OwnedMemory = {
  replayBytes: 256 * 1024,
  receiveBytes: 64 * 1024,
  keptForControlBytes: 64 * 1024,
};

export interface MemoryPoolOptions {
  /** Called when the level rises to `full`; anything may be done in it. */
  readonly onFull?: () => void;
  /** Default: 256 KiB and 64 KiB, with 64 KiB kept for control. */
  readonly owned?: OwnedMemory;
}

/**
 * Memory for all sessions of a process: frames that are not acknowledged, and what windows promise. From its admission on
 * each session owns a part, so that none waits for another; only what it takes beyond that comes out of what is left. Nothing
 * is taken that is not there, so the sum never exceeds the limit.
 */
export class MemoryPool {
  readonly owned: OwnedMemory;
  readonly #limit: number;
  readonly #onFull: (() => void) | undefined;
  #used = 0;

  constructor(limitBytes: number, options: MemoryPoolOptions = {}) {
    this.owned = options.owned ?? OWNED;
    this.#limit = limitBytes;
    this.#onFull = options.onFull;
  }

  /** Owned and taken, bytes. */
  get used(): number {
    return this.#used;
  }

  get free(): number {
    return this.#limit - this.#used;
  }

  get freeForPromises(): number {
    return Math.max(0, this.#limit * PROMISED - this.#used);
  }

  get level(): MemoryLevel {
    if (this.#used < this.#limit * SCARCE) return "ample";
    if (this.#used < this.#limit * TIGHT) return "scarce";
    return this.#used < this.#limit * FULL ? "tight" : "full";
  }

  /** Should new sessions be made? They alone never make the memory scarce. */
  get takesNewSessions(): boolean {
    return this.#used + this.#ownedBytes <= this.#limit * SCARCE;
  }

  /** The part of a new session. Undefined when there is none left; whether it should be asked for: {@link takesNewSessions}. */
  admit(): SessionMemory | undefined {
    return this.#ownedBytes > this.free ? undefined : new SessionMemory(this);
  }

  get #ownedBytes(): number {
    return this.owned.replayBytes + this.owned.receiveBytes;
  }

  /** For shares only: takes more, or with a negative number gives back. */
  change(bytes: number): void {
    const before: MemoryLevel = this.level;
    this.#used += bytes;
    const after: MemoryLevel = this.level;
    if (before !== "full" && after === "full") this.#onFull?.();
  }
}

/** What one session has of a pool. */
export class SessionMemory {
  /** For frames that the peer has not acknowledged. */
  readonly replay: MemoryShare;
  /** For what windows promise. */
  readonly receive: MemoryShare;

  constructor(pool: MemoryPool) {
    const { replayBytes, receiveBytes, keptForControlBytes } = pool.owned;
    this.replay = new MemoryShare(pool, replayBytes, keptForControlBytes);
    this.receive = new MemoryShare(pool, receiveBytes, 0);
  }

  get isClosed(): boolean {
    return this.replay.isClosed;
  }

  /** Beyond what it owns. */
  get takenBytes(): number {
    return this.replay.takenBytes + this.receive.takenBytes;
  }

  /** The session is over: nothing is taken any more, and everything goes back but what readers still have to take. */
  close(): void {
    this.replay.close();
    this.receive.closeBehind();
  }
}

/** A part of a pool: what it owns, and on top what it took of the rest. */
export class MemoryShare {
  readonly #pool: MemoryPool;
  readonly #owned: number;
  readonly #kept: number;
  #used = 0;
  #isClosed = false;

  /** @param keptBytes What `freeForData` leaves alone. */
  constructor(pool: MemoryPool, ownedBytes: number, keptBytes: number) {
    this.#pool = pool;
    this.#owned = ownedBytes;
    this.#kept = keptBytes;
    pool.change(ownedBytes);
  }

  /** Beyond what it owns. */
  get takenBytes(): number {
    return Math.max(0, this.#used - this.#owned);
  }

  /** What may be taken now. */
  get free(): number {
    return this.ownedFree + Math.max(0, this.#pool.free);
  }

  get freeForData(): number {
    return this.free - this.#kept;
  }

  /** What is left of its own part. */
  get ownedFree(): number {
    return Math.max(0, this.#owned - this.#used);
  }

  /** What may be taken now for a promise, which may be kept for long and never used. */
  get freeForPromises(): number {
    const taken = this.takenBytes;
    return (
      this.ownedFree + Math.max(0, Math.floor((taken + this.#pool.freeForPromises) / SESSION_SHARE) - taken)
    );
  }

  /** Should new things be refused and promises kept small? */
  get isTight(): boolean {
    const { level } = this.#pool;
    return level === "tight" || level === "full";
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Takes `bytes`, which must be free; a negative number gives back. */
  take(bytes: number): void {
    if (this.#isClosed) {
      this.#giveBack(-bytes);
      return;
    }
    const before = Math.max(this.#used, this.#owned);
    this.#used += bytes;
    const after = Math.max(this.#used, this.#owned);
    if (after !== before) this.#pool.change(after - before);
  }

  close(): void {
    this.closeBehind();
    this.#giveBack(this.#used);
  }

  /** What is used stays taken until it is given back: streams that ended in good order may have unread bytes for long. */
  closeBehind(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#pool.change(this.#used - Math.max(this.#used, this.#owned));
  }

  /** After the end: as much as there is, and only back. */
  #giveBack(bytes: number): void {
    const back = Math.max(0, Math.min(bytes, this.#used));
    this.#used -= back;
    if (back > 0) this.#pool.change(-back);
  }
}

/** Memory of a session that shares with nobody: its own options are the only bounds. */
export function unsharedMemory(): SessionMemory {
  return new SessionMemory(new MemoryPool(Number.POSITIVE_INFINITY));
}
