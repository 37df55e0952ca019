import {
  DialingSide,
  type DialingStats,
  type Link,
  type LinkStats,
  type Logger,
  LookupShare,
  type RoomShare,
} from "@culvert/peer";
import type { CulvertError, ErrorCode, IncomingStream, SessionMemory } from "@culvert/protocol";
import type { Audit } from "./audit.ts";
import type { Identity } from "./identity.ts";
import type { CountedSession } from "./identity-load.ts";
import { JudgedDial } from "./judged-dial.ts";
import { ListenRate } from "./listen-rate.ts";
import type { ListenerTable } from "./listener-table.ts";
import type { ServerEvent, SessionIdentity, SessionState } from "./server-events.ts";
import type { ResolvedServerOptions } from "./server-options.ts";
import { SessionAudit } from "./session-audit.ts";
import type { SessionRights } from "./session-rights.ts";
import { SessionTunnels, type TunnelInfo } from "./session-tunnels.ts";

/** A look at one session. */
export interface SessionInfo extends SessionIdentity {
  readonly state: SessionState;
  /** Program and version of the client, as it says. */
  readonly agent: string;
  /** Where its last transport came from. */
  readonly remoteAddress: string | undefined;
  /** When it was created, ms since the epoch. */
  readonly createdAt: number;
  readonly link: LinkStats;
  readonly tunnels: readonly TunnelInfo[];
  readonly dialing: DialingStats;
}

export interface ServerSessionOptions {
  readonly id: string;
  /** The client's name. */
  readonly name: string;
  /** Of who made it. */
  readonly rights: SessionRights;
  readonly agent: string;
  readonly link: Link;
  /** What the link has of the server's; it gives it back. */
  readonly memory: SessionMemory;
  readonly options: ResolvedServerOptions;
  /** Where its dials count, and its sockets: visitors, targets, listeners. */
  readonly dials: RoomShare;
  readonly sockets: RoomShare;
  /** Who listens where, of all sessions. */
  readonly listeners: ListenerTable;
  readonly audit: Audit | undefined;
  readonly emit: (event: ServerEvent) => void;
  /** The session is over; its listeners are being closed. */
  readonly onEnded: (cause: CulvertError) => void;
  /** Its transport is gone. */
  readonly onDetached: () => void;
}

/**
 * One session at the server: what its client asks for, decided by the policy, and carried out. It owns the listeners
 * and dials of the session; they end with it.
 */
export class ServerSession implements CountedSession {
  readonly link: Link;
  readonly agent: string;
  readonly createdAt: number = Date.now();
  /** Set while detached: since when, on the monotonic clock. */
  detachedSince: number | undefined;

  readonly #options: ServerSessionOptions;
  readonly #log: Logger;
  /** What the client may make the resolver do at once, be it for targets or for listeners. */
  readonly #lookupShare = new LookupShare();
  readonly #dialing: DialingSide;
  readonly #tunnels: SessionTunnels;
  #remoteAddress: string | undefined;
  #state: SessionState = "new";
  readonly #listenRate: ListenRate;

  /** Memory beyond the part that each session owns. */
  get takenBytes(): number {
    return this.#options.memory.takenBytes;
  }

  /** Who authenticated for its last transport: always the same name, perhaps by another credential. */
  get who(): Identity {
    return this.#options.rights.identity;
  }

  get streams(): number {
    return this.link.streams;
  }

  get listeners(): number {
    return this.#tunnels.size;
  }

  get identity(): SessionIdentity {
    const { id, name } = this.#options;
    return { id, owner: this.who.name, credential: this.who.credential, name };
  }

  constructor(options: ServerSessionOptions) {
    this.#options = options;
    this.link = options.link;
    this.agent = options.agent;
    const { rights, sockets, listeners: table, emit, link } = options;
    const { dialTimeoutMs, lookup, logger, session: timeouts } = options.options;
    const identity = (): SessionIdentity => this.identity;
    const audit = options.audit === undefined ? undefined : new SessionAudit(options.audit, identity);
    this.#log = logger.child({ session: options.id, client: options.name });
    this.#dialing = new DialingSide({
      dialTimeoutMs,
      lookup,
      lookupShare: this.#lookupShare,
      room: options.dials,
      sockets,
      timeouts,
      watch: audit,
      logger: this.#log,
    });
    this.#tunnels = new SessionTunnels({
      ...{ identity, rights, table, link, sockets, audit, emit },
      lookupShare: this.#lookupShare,
      session: timeouts,
      logger: this.#log,
    });
    this.link.onStream = (incoming) => this.#answer(incoming);
    this.#listenRate = new ListenRate(timeouts, performance.now());
    this.link.onTunnelRequest = (request) => {
      const fault = this.#listenRate.faultAt(performance.now());
      if (fault !== undefined) request.closed(fault);
      if (fault === "too_many_glitches") this.link.close(fault);
      if (fault === undefined) this.#tunnels.open(request);
    };
    this.link.onAttached = () => this.#attached();
    this.link.onDetached = (cause) => this.#detached(cause);
    this.link.onEnded = (cause) => this.#ended(cause);
    this.link.onNote = (text) => {
      this.#log.info({ text }, "note from the client");
      this.#options.emit({ type: "note", session: this.identity, text });
    };
  }

  info(): SessionInfo {
    return {
      ...this.identity,
      state: this.#state,
      agent: this.agent,
      remoteAddress: this.#remoteAddress,
      createdAt: this.createdAt,
      link: this.link.stats(),
      tunnels: this.#tunnels.info(),
      dialing: this.#dialing.stats(),
    };
  }

  /** It is about to get a transport, from there and by who authenticated for it. */
  arrived(who: Identity, remoteAddress: string | undefined): void {
    const { rights } = this.#options;
    const isSame = rights.identity === who;
    rights.identity = who;
    // By another way, or with other grants of the hook, it may have to give up what it listens on and dials.
    if (!isSame) this.judgeAgain();
    this.#remoteAddress = remoteAddress;
  }

  /** Takes no visitors any more; connections go on. The server is going away. */
  closeListeners(code: ErrorCode): void {
    this.#tunnels.close(code);
  }

  /** The rules have changed: listeners and dials under way that they do not allow any more end. What is open goes on. */
  judgeAgain(): void {
    this.#tunnels.judgeAgain();
    this.#dialing.judgeDials((decision) =>
      decision instanceof JudgedDial ? decision.faultNow() : undefined,
    );
  }

  /** After the end: resolves when all listeners are closed and their addresses free. */
  async listenersClosed(): Promise<void> {
    await this.#tunnels.closed();
  }

  // -- the link's life

  #attached(): void {
    this.detachedSince = undefined;
    this.#become("attached");
    const { name: owner, credential } = this.who;
    this.#log.info(
      { remoteAddress: this.#remoteAddress, agent: this.agent, owner, credential },
      "session attached",
    );
  }

  #detached(cause: CulvertError): void {
    this.detachedSince = performance.now();
    this.#become("detached", cause);
    this.#log.info({ code: cause.code, cause: cause.message }, "session detached");
    this.#options.onDetached();
  }

  #ended(cause: CulvertError): void {
    this.#dialing.cancelDials();
    this.closeListeners(cause.code);
    this.#become("ended", cause);
    this.#log.info({ code: cause.code, cause: cause.message }, "session ended");
    this.#options.onEnded(cause);
  }

  #become(current: SessionState, cause?: CulvertError): void {
    const previous = this.#state;
    this.#state = current;
    const event = { type: "session", session: this.identity, previous, current } as const;
    this.#options.emit(cause === undefined ? event : { ...event, cause });
  }

  // -- CONNECT: the client's streams are dialed here

  #answer(incoming: IncomingStream): void {
    const { target } = incoming.request;
    if (target === undefined) {
      // A server offers no tunnels of its own that a stream could name.
      const code = incoming.request.tunnelId === undefined ? "bad_address" : "unknown_tunnel";
      this.#dialing.answer(incoming, { kind: "refuse", code });
      return;
    }
    const { rights } = this.#options;
    const tooMany = rights.faultOfOpen(0);
    if (tooMany !== undefined) {
      this.#dialing.answer(incoming, { kind: "refuse", code: tooMany, reason: "a limit of the identity" });
      return;
    }
    const wish = rights.judge("connect", target);
    this.#dialing.answer(incoming, wish.kind === "refuse" ? wish : new JudgedDial(wish, rights));
  }
}
