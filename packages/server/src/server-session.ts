import {
  DialingSide,
  type DialingStats,
  type Link,
  type LinkStats,
  ListeningTunnel,
  type ListeningTunnelStats,
  type Logger,
  LookupShare,
  type RoomShare,
  type TunnelRequest,
} from "@culvert/peer";
import {
  CulvertError,
  type ErrorCode,
  formatEndpoint,
  type IncomingStream,
  type SessionMemory,
} from "@culvert/protocol";
import type { Identity } from "./identity.ts";
import { ListenRate } from "./listen-rate.ts";
import { decidePolicy } from "./policy.ts";
import type { ServerEvent, SessionIdentity, SessionState } from "./server-events.ts";
import type { ResolvedServerOptions } from "./server-options.ts";

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

/** A listener that the client asked for. */
export interface TunnelInfo extends ListeningTunnelStats {
  readonly tunnelId: number;
  readonly name: string;
  /** As it was asked for. */
  readonly listen: string;
  /** Where it listens. */
  readonly address: string;
}

/** A tunnel is being opened, is open, or is to be closed as soon as it is open. */
type TunnelState =
  | { readonly name: "opening" }
  | { readonly name: "open"; readonly tunnel: ListeningTunnel; readonly address: string }
  | { readonly name: "closing" };

interface TunnelSlot {
  readonly request: TunnelRequest;
  readonly log: Logger;
  state: TunnelState;
}

export interface ServerSessionOptions {
  readonly id: string;
  /** The client's name. */
  readonly name: string;
  /** Who made it. */
  readonly who: Identity;
  readonly agent: string;
  readonly link: Link;
  /** What the link has of the server's; it gives it back. */
  readonly memory: SessionMemory;
  readonly options: ResolvedServerOptions;
  /** Where its dials count, and its sockets: visitors, targets, listeners. */
  readonly dials: RoomShare;
  readonly sockets: RoomShare;
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
export class ServerSession {
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
  readonly #tunnels = new Map<number, TunnelSlot>();
  #who: Identity;
  #remoteAddress: string | undefined;
  /** Listeners that are being opened, and that are being closed. */
  readonly #opening = new Set<Promise<void>>();
  readonly #closing = new Set<Promise<void>>();
  #state: SessionState = "new";
  #takesListeners = true;
  readonly #listenRate: ListenRate;

  /** Memory beyond the part that each session owns. */
  get takenBytes(): number {
    return this.#options.memory.takenBytes;
  }

  /** Who authenticated for its last transport: always the same name, perhaps by another credential. */
  get who(): Identity {
    return this.#who;
  }

  get identity(): SessionIdentity {
    const { id, name } = this.#options;
    return { id, owner: this.#who.name, credential: this.#who.credential, name };
  }

  constructor(options: ServerSessionOptions) {
    this.#options = options;
    this.#who = options.who;
    this.link = options.link;
    this.agent = options.agent;
    const { dialTimeoutMs, lookup, logger, session: timeouts } = options.options;
    this.#log = logger.child({ session: options.id, client: options.name });
    this.#dialing = new DialingSide({
      dialTimeoutMs,
      lookup,
      lookupShare: this.#lookupShare,
      room: options.dials,
      sockets: options.sockets,
      timeouts,
      logger: this.#log,
    });
    this.link.onStream = (incoming) => this.#answer(incoming);
    this.#listenRate = new ListenRate(timeouts, performance.now());
    this.link.onTunnelRequest = (request) => {
      const fault = this.#listenRate.faultAt(performance.now());
      if (fault !== undefined) request.closed(fault);
      if (fault === "too_many_glitches") this.link.close(fault);
      if (fault !== undefined) return;
      const opening = this.#listen(request).finally(() => this.#opening.delete(opening));
      this.#opening.add(opening);
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
    const tunnels: TunnelInfo[] = [];
    for (const { request, state } of this.#tunnels.values()) {
      if (state.name !== "open") continue;
      const { tunnelId, name, listen } = request;
      tunnels.push({ tunnelId, name, listen, address: state.address, ...state.tunnel.stats() });
    }
    return {
      ...this.identity,
      state: this.#state,
      agent: this.agent,
      remoteAddress: this.#remoteAddress,
      createdAt: this.createdAt,
      link: this.link.stats(),
      tunnels,
      dialing: this.#dialing.stats(),
    };
  }

  /** It is about to get a transport, from there and by who authenticated for it. */
  arrived(who: Identity, remoteAddress: string | undefined): void {
    this.#who = who;
    this.#remoteAddress = remoteAddress;
  }

  /** Takes no visitors any more; connections go on. The server is going away. */
  closeListeners(code: ErrorCode): void {
    this.#takesListeners = false;
    for (const slot of this.#tunnels.values()) this.#closeTunnel(slot, code);
  }

  /** After the end: resolves when all listeners are closed and their addresses free. */
  async listenersClosed(): Promise<void> {
    await Promise.all(this.#opening);
    await Promise.all(this.#closing);
  }

  // -- the link's life

  #attached(): void {
    this.detachedSince = undefined;
    this.#become("attached");
    const { name: owner, credential } = this.#who;
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
    const { owner, name } = this.identity;
    const verdict = decidePolicy({ kind: "connect", owner, name, address: target });
    const allowed = verdict.kind === "allow";
    this.#dialing.answer(incoming, allowed ? { kind: "dial", endpoint: verdict.endpoint } : verdict);
  }

  // -- LISTEN: the client's visitors arrive here

  async #listen(request: TunnelRequest): Promise<void> {
    const { tunnelId, name } = request;
    const log = this.#log.child({ tunnel: tunnelId });
    const slot: TunnelSlot = { request, log, state: { name: "opening" } };
    this.#tunnels.set(tunnelId, slot);
    request.onClose = () => this.#closeTunnel(slot, "closed");
    try {
      const tunnel = await this.#open(request, log);
      // The session may have ended meanwhile, or the client may want it no more.
      if (slot.state.name === "closing") {
        this.#close(tunnel, slot, "closed");
        return;
      }
      const address = formatEndpoint(tunnel.address);
      slot.state = { name: "open", tunnel, address };
      request.ready(address);
      log.info({ name, listen: request.listen, address }, "tunnel listens");
      this.#tellTunnel(slot, { current: "listening", address });
    } catch (error) {
      this.#tunnels.delete(tunnelId);
      const code = error instanceof CulvertError ? error.code : "bind_failed";
      request.closed(code);
      log.warn({ name, listen: request.listen, code, cause: String(error) }, "tunnel cannot listen");
      this.#tellTunnel(slot, { current: "failed", code });
    }
  }

  async #open(request: TunnelRequest, logger: Logger): Promise<ListeningTunnel> {
    if (!this.#takesListeners) throw new CulvertError("shutting_down");
    const { owner, name } = this.identity;
    const verdict = decidePolicy({ kind: "listen", owner, name, address: request.listen });
    if (verdict.kind === "refuse") throw new CulvertError(verdict.code);
    const { tunnelId } = request;
    return await ListeningTunnel.listen({
      listen: verdict.endpoint,
      request: { tunnelId },
      link: this.link,
      maxVisitors: this.#options.options.session.maxStreams,
      sockets: this.#options.sockets,
      timeouts: this.#options.options.session,
      lookupShare: this.#lookupShare,
      logger,
    });
  }

  #closeTunnel(slot: TunnelSlot, code: ErrorCode): void {
    const { state } = slot;
    slot.state = { name: "closing" };
    if (state.name === "open") this.#close(state.tunnel, slot, code);
  }

  #close(tunnel: ListeningTunnel, slot: TunnelSlot, code: ErrorCode): void {
    const { request } = slot;
    this.#tunnels.delete(request.tunnelId);
    const closing = tunnel
      .close()
      .catch((error: unknown) => slot.log.warn({ cause: String(error) }, "the listener did not close well"))
      .finally(() => {
        this.#closing.delete(closing);
        request.closed(code); // only now is the address free for another tunnel of the client
        slot.log.info({ name: request.name, listen: request.listen, code }, "tunnel closed");
        this.#tellTunnel(slot, { current: "closed", code });
      });
    this.#closing.add(closing);
  }

  #tellTunnel(
    slot: TunnelSlot,
    what: { current: "listening"; address: string } | { current: "failed" | "closed"; code: ErrorCode },
  ): void {
    const { tunnelId, name, listen } = slot.request;
    this.#options.emit({ type: "tunnel", session: this.identity, tunnelId, name, listen, ...what });
  }
}
