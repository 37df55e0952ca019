import type { ErrorCode } from "./errors.ts";
import { type Hello, proofInput, type Resume } from "./handshake.ts";

/** What the server remembers of a session besides the session itself. `L` is whatever drives it. */
export interface SessionRecord<L> {
  readonly id: string;
  /** Who authenticated; names are unique within an owner only. */
  readonly owner: string;
  readonly name: string;
  readonly instance: string;
  /** 256 random bits, base64url; proves a resume. */
  readonly secret: string;
  readonly link: L;
}

export type AdmissionDecision<L> =
  /** Make a new session with `add`. `displaces` holds the same name and must be ended with `cause` before the WELCOME. */
  | {
      readonly kind: "create";
      readonly displaces: SessionRecord<L> | undefined;
      readonly cause: "displaced" | "never_welcomed";
    }
  /** The proof holds: fence the old transport and go on with this one. */
  | { readonly kind: "resume"; readonly record: SessionRecord<L> }
  | { readonly kind: "reject"; readonly code: ErrorCode };

export interface SessionBookOptions {
  /** Checks the HMAC of a resume in constant time. */
  readonly verify: (secret: string, input: Uint8Array, proof: string) => boolean;
  /** How long the cause of an ended session is kept, ms; the grace. */
  readonly keepEndedMs: number;
  /** Most causes kept; the oldest goes first. Default 10,000. */
  readonly maxEnded?: number;
}

/** Why a session ended, where its client can learn more from it than that the session is unknown. */
const TOLD: ReadonlySet<ErrorCode> = new Set(["displaced", "session_limit", "resource_exhausted"]);

interface Entry<L> {
  readonly record: SessionRecord<L>;
  attempt: number;
  /** Did the client show that it got the WELCOME? Until then a HELLO of the same instance replaces it. */
  proven: boolean;
}

interface Ended {
  readonly code: ErrorCode;
  readonly owner: string;
  readonly secret: string;
  readonly until: number;
}

/**
 * The server's sessions by id and by owner and name, and what became of those that ended. It decides what a HELLO gets;
 * a decision changes nothing of a live session but its highest attempt, and that only after the proof held.
 */
export class SessionBook<L> {
  readonly #options: SessionBookOptions;
  readonly #byId = new Map<string, Entry<L>>();
  readonly #byName = new Map<string, Entry<L>>();
  readonly #ended = new Map<string, Ended>();

  constructor(options: SessionBookOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byId.size;
  }

  records(): SessionRecord<L>[] {
    return [...this.#byId.values()].map((entry) => entry.record);
  }

  /** What a HELLO of an authenticated owner gets. */
  decide(hello: Hello, owner: string, now: number): AdmissionDecision<L> {
    if (hello.resume !== undefined) return this.#decideResume(hello.resume, owner, now);
    const holder = this.#byName.get(nameKey(owner, hello.name));
    const isOwn = holder !== undefined && holder.record.instance === hello.instance;
    // A HELLO of the holder itself that was overtaken on its way by a later one must not end what that one began.
    if (isOwn && (hello.attempt ?? 0) < holder.attempt) return { kind: "reject", code: "stale_attempt" };
    return { kind: "create", displaces: holder?.record, cause: isOwn ? "never_welcomed" : "displaced" };
  }

  #decideResume(resume: Resume, owner: string, now: number): AdmissionDecision<L> {
    const entry = this.#byId.get(resume.session);
    const input = proofInput(resume.session, resume.attempt, resume.received);
    if (entry === undefined) return { kind: "reject", code: this.#causeOf(resume, owner, input, now) };
    // One answer for another's session and for a wrong proof: nothing is told to who cannot prove, nothing is touched.
    if (entry.record.owner !== owner || !this.#options.verify(entry.record.secret, input, resume.proof)) {
      return { kind: "reject", code: "session_unknown" };
    }
    if (resume.attempt <= entry.attempt) return { kind: "reject", code: "stale_attempt" };
    entry.attempt = resume.attempt;
    entry.proven = true;
    return { kind: "resume", record: entry.record };
  }

  /** Why a session is gone is told only to who proves that it was theirs: a displaced client must not come back. */
  #causeOf(resume: Resume, owner: string, input: Uint8Array, now: number): ErrorCode {
    const ended = this.#ended.get(resume.session);
    if (ended === undefined || ended.until <= now || ended.owner !== owner) return "session_unknown";
    if (!this.#options.verify(ended.secret, input, resume.proof)) return "session_unknown";
    return ended.code;
  }

  /**
   * Enters a session that was just made, by the HELLO with that attempt number. Who held the name must have been ended
   * before.
   */
  add(record: SessionRecord<L>, attempt = 0): void {
    const entry: Entry<L> = { record, attempt, proven: false };
    this.#byId.set(record.id, entry);
    this.#byName.set(nameKey(record.owner, record.name), entry);
  }

  /** The client sent something after the WELCOME. */
  markProven(id: string): void {
    const entry = this.#byId.get(id);
    if (entry !== undefined) entry.proven = true;
  }

  isProven(id: string): boolean {
    return this.#byId.get(id)?.proven ?? false;
  }

  /** Takes a session out; that it was displaced, or had to give way, is remembered for `keepEndedMs`. */
  remove(id: string, code: ErrorCode, now: number): void {
    const entry = this.#byId.get(id);
    if (entry === undefined) return;
    this.#byId.delete(id);
    const key = nameKey(entry.record.owner, entry.record.name);
    if (this.#byName.get(key) === entry) this.#byName.delete(key);
    this.#forgetEnded(now);
    if (!TOLD.has(code)) return;
    this.#ended.set(id, {
      code,
      owner: entry.record.owner,
      secret: entry.record.secret,
      until: now + this.#options.keepEndedMs,
    });
  }

  #forgetEnded(now: number): void {
    const most = this.#options.maxEnded ?? 10_000;
    for (const [id, ended] of this.#ended) {
      // A Map iterates in the order of entry and every entry lives equally long: the first live one ends the walk.
      if (ended.until > now && this.#ended.size < most) return;
      this.#ended.delete(id);
    }
  }
}

function nameKey(owner: string, name: string): string {
  return JSON.stringify([owner, name]);
}
