import { randomBytes } from "node:crypto";
import {
  FairRoom,
  Link,
  type Logger,
  newInstanceId,
  newSecret,
  type Transport,
  verifyProof,
} from "@culvert/peer";
import {
  type AdmissionDecision,
  CulvertError,
  type ErrorCode,
  type Hello,
  type MemoryLevel,
  MemoryPool,
  PROTOCOL_VERSION,
  SessionBook,
  type SessionMemory,
  type Welcome,
} from "@culvert/protocol";
import type { Audit } from "./audit.ts";
import type { Authority } from "./authority.ts";
import { Handshake } from "./handshake.ts";
import type { Identity } from "./identity.ts";
import { IdentityLoads } from "./identity-load.ts";
import { ListenerTable } from "./listener-table.ts";
import { Revocation } from "./revocation.ts";
import type { ServerEvent } from "./server-events.ts";
import type { ResolvedServerOptions } from "./server-options.ts";
import { ServerSession } from "./server-session.ts";
import { SessionRights } from "./session-rights.ts";
import { SessionRoom } from "./session-room.ts";
import { within } from "./within.ts";

/** An authenticated transport that has not said HELLO yet. */
export interface Arrival {
  readonly transport: Transport;
  /** Who sent it. */
  readonly identity: Identity;
  readonly remoteAddress: string | undefined;
  /** As its request said. */
  readonly userAgent: string | undefined;
  /** It is a session's transport now. */
  readonly onAdmitted: () => void;
}

export interface AdmissionOptions {
  readonly options: ResolvedServerOptions;
  readonly authority: Authority;
  readonly audit: Audit | undefined;
  readonly emit: (event: ServerEvent) => void;
}

/** A session about to be created, while the listeners of the one that it displaces are being closed. Its place is kept. */
interface Candidate {
  readonly owner: string;
  readonly instance: string;
  readonly handshake: Handshake;
  /** Set aside; undefined when it went on to a session or to a later candidate of the same name. */
  memory: SessionMemory | undefined;
  /** Resolves when the name and its listen addresses are free. */
  readonly ready: Promise<void>;
}

/** How long the listeners of a displaced session may take to close before the new session goes on without waiting. */
const DISPLACE_MS = 2000;

/** Lets transports in: which session a HELLO creates, resumes or displaces. Owns the sessions. */
export class Admission {
  readonly #options: ResolvedServerOptions;
  readonly #emit: (event: ServerEvent) => void;
  readonly #log: Logger;
  /** Part of every session id, so that a session of an earlier process is known to be unknown. */
  readonly #instance = newInstanceId().slice(0, 16);
  readonly #book: SessionBook<ServerSession>;
  readonly #candidates = new Map<string, Candidate>();
  readonly #authority: Authority;
  readonly #revocation: Revocation;
  readonly #loads = new IdentityLoads();
  readonly #listeners = new ListenerTable();
  readonly #audit: Audit | undefined;
  readonly #memory: MemoryPool;
  readonly #room: SessionRoom;
  readonly #dialRoom: FairRoom;
  readonly #socketRoom: FairRoom;
  #draining = false;

  constructor({ options, authority, audit, emit }: AdmissionOptions) {
    this.#options = options;
    this.#authority = authority;
    this.#audit = audit;
    this.#revocation = new Revocation(authority, () => this.sessions());
    this.#emit = emit;
    this.#log = options.logger;
    this.#book = new SessionBook({ verify: verifyProof, keepEndedMs: options.session.graceMs });
    this.#dialRoom = new FairRoom(options.maxDials, 1 / 4);
    this.#socketRoom = new FairRoom(options.maxSockets, 1 / 2);
    this.#memory = new MemoryPool(options.memoryBudgetBytes, { onFull: () => this.#room.relieveSoon() });
    const { maxSessions, maxDetachedSessions, logger } = options;
    const sessions = () => this.sessions();
    this.#room = new SessionRoom({
      maxSessions,
      maxDetachedSessions,
      logger,
      sessions,
      memory: this.#memory,
    });
  }

  /** What all sessions together have of the memory budget, bytes, and how tight that is. */
  get memory(): { readonly bytes: number; readonly level: MemoryLevel } {
    return { bytes: this.#memory.used, level: this.#memory.level };
  }

  get size(): number {
    return this.#book.size;
  }

  sessions(): ServerSession[] {
    return this.#book.records().map((record) => record.link);
  }

  /** From now on sessions are resumed, and none created. */
  drain(): void {
    this.#draining = true;
  }

  /** The authority decides by other rules now: sessions and listeners that it does not allow any more end. */
  rulesChanged(): void {
    this.#revocation.apply();
  }

  /** All sessions are over. */
  close(): void {
    this.#revocation.stop();
  }

  /** Takes a fresh transport through its handshake. */
  receive(arrival: Arrival): void {
    const { remoteAddress } = arrival;
    const handshake = new Handshake(arrival.transport, {
      timeoutMs: this.#options.handshakeTimeoutMs,
      onHello: (hello) => this.#decide(arrival, handshake, hello),
      onFailed: (error) => {
        this.#log.info({ remoteAddress, code: error.code, cause: error.message }, "handshake failed");
        this.#emit({ type: "refused", remoteAddress, reason: error.code });
      },
    });
  }

  #decide(arrival: Arrival, handshake: Handshake, hello: Hello): void {
    if (this.#isRevoked(arrival, handshake)) return;
    const decision = this.#book.decide(hello, arrival.identity.name, performance.now());
    switch (decision.kind) {
      case "reject":
        handshake.refuse(decision.code);
        return;
      case "resume":
        this.#resume(arrival, handshake, hello, decision.record.link);
        return;
      case "create":
        if (this.#draining) handshake.refuse("shutting_down", { retryAfterMs: retryAfterMs() });
        else {
          this.#displaceAndCreate(arrival, handshake, hello, decision).catch((error: unknown) => {
            this.#log.error({ error, remoteAddress: arrival.remoteAddress }, "a session could not be made");
            if (handshake.isOver) arrival.transport.terminate();
            else handshake.refuse("internal_error");
          });
        }
    }
  }

  /** It passed the gate, and the rules may have changed since. True: it was refused. */
  #isRevoked({ identity }: Arrival, handshake: Handshake): boolean {
    const isRevoked = this.#authority.isRevoked(identity, Date.now());
    if (isRevoked) handshake.refuse("revoked");
    return isRevoked;
  }

  // -- resume

  #resume(arrival: Arrival, handshake: Handshake, hello: Hello, session: ServerSession): void {
    const { link } = session;
    const peerReceived = hello.resume?.received ?? 0;
    const received = link.fence();
    if (!link.canResume(peerReceived)) {
      handshake.refuse("replay_gap");
      link.fail(new CulvertError("replay_gap", `the client processed ${peerReceived}`));
      return;
    }
    handshake.welcome(this.#welcome(session.identity.id, received));
    this.#attach(arrival, session, peerReceived);
  }

  // -- create

  /**
   * Only one HELLO of a name is under way at a time, and the newest wins: an older one belongs to a transport that its
   * client has given up, or to a client that is being displaced.
   */
  async #displaceAndCreate(
    arrival: Arrival,
    handshake: Handshake,
    hello: Hello,
    { displaces, cause }: Extract<AdmissionDecision<ServerSession>, { kind: "create" }>,
  ): Promise<void> {
    const key = JSON.stringify([arrival.identity.name, hello.name]);
    const earlier = this.#candidates.get(key);
    // Before anybody is ended for it. Who takes over a name takes over its place and memory, too.
    const isFull = earlier === undefined && displaces === undefined ? this.#faultOfRoom(arrival) : undefined;
    if (isFull !== undefined) {
      this.#log.warn({ name: hello.name, code: isFull, ...this.memory }, "session refused");
      handshake.refuse(isFull, { retryAfterMs: retryAfterMs() });
      return;
    }
    earlier?.handshake.refuse(earlier.instance === hello.instance ? "stale_attempt" : "displaced");
    if (displaces !== undefined) end(displaces.link, cause);
    const memory = earlier?.memory ?? this.#memory.admit();
    if (earlier !== undefined) earlier.memory = undefined;
    const ready = freeOf(earlier, displaces?.link);
    const owner = arrival.identity.name;
    const candidate: Candidate = { owner, instance: hello.instance, handshake, ready, memory };
    this.#candidates.set(key, candidate);
    try {
      await ready;
      if (handshake.isOver || this.#isRevoked(arrival, handshake)) return;
      // Also who takes a place over: readers may still have what the session before it received.
      candidate.memory ??= this.#memory.admit();
      if (this.#draining) handshake.refuse("shutting_down", { retryAfterMs: retryAfterMs() });
      else if (candidate.memory === undefined)
        handshake.refuse("resource_exhausted", { retryAfterMs: retryAfterMs() });
      else this.#create(arrival, handshake, hello, candidate);
    } finally {
      if (this.#candidates.get(key) === candidate) this.#candidates.delete(key);
      candidate.memory?.close();
    }
  }

  /** Why there is no place for one more session, if there is none. */
  #faultOfRoom({ identity }: Arrival): ErrorCode | undefined {
    const { sessions: most } = this.#authority.grantsOf(identity).limits;
    const own = [...this.#candidates.values()].filter(({ owner }) => owner === identity.name).length;
    return this.#room.faultFor(identity.name, most, { all: this.#candidates.size, own });
  }

  /** The session takes the candidate's memory over, and gives it back when it ends. */
  #create(arrival: Arrival, handshake: Handshake, hello: Hello, candidate: Candidate): void {
    const { memory } = candidate;
    if (memory === undefined) throw new Error("a candidate without memory");
    candidate.memory = undefined;
    const id = `${this.#instance}.${randomBytes(12).toString("hex")}`;
    const secret = newSecret();
    const { session: options, logger } = this.#options;
    const link = new Link({ role: "server", session: options, peerLimits: hello.limits, memory, logger });
    try {
      const session = new ServerSession({
        id,
        name: hello.name,
        rights: new SessionRights(arrival.identity, this.#authority, this.#loads.of(arrival.identity.name)),
        agent: hello.agent,
        link,
        memory,
        options: this.#options,
        dials: this.#dialRoom.share(),
        sockets: this.#socketRoom.share(),
        listeners: this.#listeners,
        audit: this.#audit,
        emit: this.#emit,
        onEnded: (cause) => {
          leave();
          this.#book.remove(id, cause.code, performance.now());
        },
        onDetached: () => {
          // A client that never showed that it got the WELCOME cannot resume: it does not know the secret.
          if (!this.#book.isProven(id)) link.fail(new CulvertError("never_welcomed"));
          else this.#room.relieveSoon();
        },
      });
      const leave = this.#loads.enter(arrival.identity.name, session);
      link.onProven = () => this.#book.markProven(id);
      handshake.welcome(this.#welcome(id, 0, secret));
      const { owner, name } = session.identity;
      this.#book.add({ id, owner, name, instance: hello.instance, secret, link: session }, hello.attempt);
      this.#attach(arrival, session, 0);
    } catch (error) {
      link.fail(new CulvertError("internal_error", undefined, { cause: error })); // nobody else would ever end it
      throw error;
    }
  }

  #attach(arrival: Arrival, session: ServerSession, peerReceived: number): void {
    session.arrived(arrival.identity, arrival.remoteAddress);
    this.#revocation.watch(session);
    session.link.attach(arrival.transport, peerReceived);
    arrival.onAdmitted();
  }

  #welcome(session: string, received: number, secret?: string): Welcome {
    const { agent, session: options } = this.#options;
    const { maxStreams, maxPendingOpens, maxTunnels, initialWindowBytes, replayLimitBytes } = options;
    return {
      version: PROTOCOL_VERSION,
      session,
      ...(secret === undefined ? {} : { secret }),
      received,
      agent,
      limits: { maxStreams, maxPendingOpens, maxTunnels, initialWindowBytes, replayLimitBytes },
      keepalive: { intervalMs: options.pingIntervalMs, timeoutMs: options.silenceMs },
      graceMs: options.graceMs,
    };
  }
}

/** Ends a session for another one of the same name. A client that is still there is told, so that it does not come back. */
function end(session: ServerSession, cause: Extract<ErrorCode, "displaced" | "never_welcomed">): void {
  if (cause === "displaced") session.link.close(cause);
  else session.link.fail(new CulvertError(cause));
}

/** Resolves when the listeners of whoever held the name are closed, or after a bound. */
async function freeOf(earlier: Candidate | undefined, displaced: ServerSession | undefined): Promise<void> {
  await within(DISPLACE_MS, Promise.all([earlier?.ready, displaced?.listenersClosed()]));
}

/** When to come back to a server that goes away or is full: spread, so that clients do not come back all at once. */
export function retryAfterMs(): number {
  return 1000 + Math.floor(Math.random() * 4000);
}
