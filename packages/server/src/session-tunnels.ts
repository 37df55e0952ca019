import {
  type Link,
  ListeningTunnel,
  type ListeningTunnelStats,
  type Logger,
  type LookupShare,
  type RoomShare,
  type TunnelRequest,
} from "@culvert/peer";
import { CulvertError, type Endpoint, type ErrorCode, formatEndpoint } from "@culvert/protocol";
import type { ListenerClaim, ListenerTable } from "./listener-table.ts";
import type { ServerEvent, SessionIdentity } from "./server-events.ts";
import type { ResolvedServerOptions } from "./server-options.ts";
import type { SessionAudit } from "./session-audit.ts";
import type { SessionRights } from "./session-rights.ts";

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
  | { readonly name: "open"; readonly opened: Opened }
  | { readonly name: "closing"; readonly code: ErrorCode };

/** A listener, what was asked for, and its place in the table. */
interface Opened {
  readonly tunnel: ListeningTunnel;
  readonly asked: Endpoint;
  readonly address: string;
  readonly claim: ListenerClaim;
}

interface TunnelSlot {
  readonly request: TunnelRequest;
  readonly log: Logger;
  state: TunnelState;
}

export interface SessionTunnelsOptions {
  readonly identity: () => SessionIdentity;
  readonly rights: SessionRights;
  /** Of all sessions. */
  readonly table: ListenerTable;
  readonly link: Link;
  readonly sockets: RoomShare;
  readonly lookupShare: LookupShare;
  readonly session: ResolvedServerOptions["session"];
  readonly audit: SessionAudit | undefined;
  readonly emit: (event: ServerEvent) => void;
  readonly logger: Logger;
}

/**
 * After these ends the client comes back, as a new session. Its addresses are kept for it: others who want them ask every few
 * seconds, and would have one before it is back.
 */
const COMES_BACK: ReadonlySet<ErrorCode> = new Set([
  "displaced",
  "never_welcomed",
  "replay_gap",
  "session_limit",
  "resource_exhausted",
]);
const KEEP_MS = 10_000;

/** LISTEN mode at the server: the listeners of one session, opened by its rights, each held against all others. */
export class SessionTunnels {
  readonly #options: SessionTunnelsOptions;
  readonly #slots = new Map<number, TunnelSlot>();
  /** Listeners that are being opened, and that are being closed. */
  readonly #opening = new Set<Promise<void>>();
  readonly #closing = new Set<Promise<void>>();
  #takesListeners = true;

  constructor(options: SessionTunnelsOptions) {
    this.#options = options;
  }

  /** Listeners that there are, and that are being opened. */
  get size(): number {
    return this.#slots.size;
  }

  info(): TunnelInfo[] {
    const infos: TunnelInfo[] = [];
    for (const { request, state } of this.#slots.values()) {
      if (state.name !== "open") continue;
      const { tunnelId, name, listen } = request;
      const { address, tunnel } = state.opened;
      infos.push({ tunnelId, name, listen, address, ...tunnel.stats() });
    }
    return infos;
  }

  /** Opens what the client asks for, and answers. */
  open(request: TunnelRequest): void {
    const opening = this.#listen(request).finally(() => this.#opening.delete(opening));
    this.#opening.add(opening);
  }

  /** Takes no visitors and no listeners any more; connections go on. */
  close(code: ErrorCode): void {
    this.#takesListeners = false;
    for (const slot of this.#slots.values()) this.#closeSlot(slot, code);
  }

  /** The rules have changed: what they do not allow any more is closed. Connections go on. */
  judgeAgain(): void {
    for (const slot of [...this.#slots.values()]) {
      // One that is being opened is judged when it is.
      if (slot.state.name === "open" && this.#faultOf(slot.state.opened) !== undefined)
        this.#closeSlot(slot, "forbidden");
    }
  }

  #faultOf({ asked, tunnel }: Opened): CulvertError | undefined {
    return this.#options.rights.faultOfListener(asked, hostOf(tunnel.address));
  }

  /** After `close`: resolves when all listeners are closed and their addresses free. */
  async closed(): Promise<void> {
    await Promise.all(this.#opening);
    await Promise.all(this.#closing);
  }

  async #listen(request: TunnelRequest): Promise<void> {
    const { tunnelId, name, listen } = request;
    const log = this.#options.logger.child({ tunnel: tunnelId });
    const slot: TunnelSlot = { request, log, state: { name: "opening" } };
    this.#slots.set(tunnelId, slot);
    request.onClose = () => {
      // At the end of a session `close` follows, and knows why.
      if (this.#options.link.state !== "ended") this.#closeSlot(slot, "closed");
    };
    try {
      const opened = await this.#bind(request, log);
      // The session may have ended meanwhile, the client may want it no more, or the rules may have changed.
      if (slot.state.name === "closing") {
        this.#release(opened, slot, slot.state.code);
        return;
      }
      const fault = this.#faultOf(opened);
      if (fault !== undefined) {
        // Nobody was told of it yet, so it is refused, like one that was judged before.
        await closeListener(opened.tunnel, log);
        opened.claim.release();
        throw fault;
      }
      const { address } = opened;
      slot.state = { name: "open", opened };
      request.ready(address);
      log.info({ name, listen, address }, "tunnel listens");
      this.#options.audit?.listens(tunnelId, listen, address);
      this.#tell(slot, { current: "listening", address });
    } catch (error) {
      this.#slots.delete(tunnelId);
      const code = error instanceof CulvertError ? error.code : "bind_failed";
      request.closed(code);
      const reason = error instanceof Error ? error.message : String(error);
      log.warn({ name, listen, code, cause: reason }, "tunnel cannot listen");
      this.#options.audit?.listenRefused(tunnelId, listen, code, reason);
      this.#tell(slot, { current: "failed", code });
    }
  }

  /** The address is judged and claimed in the turn in which it is bound: two who ask at once never both get it. */
  async #bind({ tunnelId, listen }: TunnelRequest, logger: Logger): Promise<Opened> {
    if (!this.#takesListeners) throw new CulvertError("shutting_down");
    const { rights, table, link, sockets, lookupShare, session, audit } = this.#options;
    const tooMany = rights.faultOfListen();
    if (tooMany !== undefined) throw new CulvertError(tooMany, "of this identity");
    const wish = rights.judge("listen", listen);
    if (wish.kind === "refuse") throw new CulvertError(wish.code, wish.reason);
    const { endpoint: asked } = wish;
    let claim: ListenerClaim | undefined;
    let address = listen;
    try {
      if (asked.scheme === "unix") claim = table.claimPath(this.#options.identity(), asked.path);
      const tunnel = await ListeningTunnel.listen({
        listen: asked,
        request: { tunnelId },
        link,
        maxVisitors: session.maxStreams,
        sockets,
        timeouts: session,
        lookupShare,
        beforeBind: (host) => {
          const fault = rights.faultOfListener(asked, host);
          if (fault !== undefined) throw fault;
          if (asked.scheme === "tcp") claim = table.claim(this.#options.identity(), host, asked.port);
        },
        faultOfVisitor: () => rights.faultOfOpen(1),
        watch: audit?.visitors(() => address),
        logger,
      });
      address = formatEndpoint(tunnel.address);
      if (claim === undefined) throw new CulvertError("internal_error", "bound without a claim");
      if (tunnel.address.scheme === "tcp") claim.bound(tunnel.address.port);
      return { tunnel, asked, address, claim };
    } catch (error) {
      claim?.release();
      throw error;
    }
  }

  #closeSlot(slot: TunnelSlot, code: ErrorCode): void {
    const { state } = slot;
    if (state.name === "closing") return;
    slot.state = { name: "closing", code };
    if (state.name === "open") this.#release(state.opened, slot, code);
  }

  #release({ tunnel, claim }: Opened, slot: TunnelSlot, code: ErrorCode): void {
    const { request } = slot;
    this.#slots.delete(request.tunnelId);
    const closing = closeListener(tunnel, slot.log).finally(() => {
      claim.release(COMES_BACK.has(code) ? KEEP_MS : 0, this.#options.rights.mostListeners);
      this.#closing.delete(closing);
      request.closed(code); // only now is the address free for another tunnel of the client
      slot.log.info({ name: request.name, listen: request.listen, code }, "tunnel closed");
      this.#options.audit?.listenClosed(request.tunnelId, request.listen, code);
      this.#tell(slot, { current: "closed", code });
    });
    this.#closing.add(closing);
  }

  #tell(
    slot: TunnelSlot,
    what: { current: "listening"; address: string } | { current: "failed" | "closed"; code: ErrorCode },
  ): void {
    const { tunnelId, name, listen } = slot.request;
    this.#options.emit({
      type: "tunnel",
      session: this.#options.identity(),
      tunnelId,
      name,
      listen,
      ...what,
    });
  }
}

/** Never rejects. */
async function closeListener(tunnel: ListeningTunnel, log: Logger): Promise<void> {
  await tunnel
    .close()
    .catch((error: unknown) => log.warn({ cause: String(error) }, "the listener did not close well"));
}

function hostOf(endpoint: Endpoint): string | undefined {
  return endpoint.scheme === "tcp" ? endpoint.host : undefined;
}
