import { Listeners, type Logger } from "@culvert/peer";
import { commonGrants, type Users } from "@culvert/policy";
import { CulvertError, type MemoryLevel } from "@culvert/protocol";
import { Admission, type Arrival, retryAfterMs } from "./admission.ts";
import { isLoopbackHost } from "./arrival-path.ts";
import { Audit } from "./audit.ts";
import { Authenticators } from "./authenticators.ts";
import { Authority } from "./authority.ts";
import { Door } from "./door.ts";
import { Gate } from "./gate.ts";
import { type MountableServer, MountTable } from "./mount-table.ts";
import { OwnEndpoint, type ServerAddress } from "./own-endpoint.ts";
import { OwnPorts } from "./own-ports.ts";
import { peerCertificateOf } from "./peer-certificate.ts";
import type { ServerEvent, ServerEventOf, ServerEventType, ServerState } from "./server-events.ts";
import {
  checkPath,
  type ResolvedServerOptions,
  resolveServerOptions,
  type ServerOptions,
} from "./server-options.ts";
import type { SessionInfo } from "./server-session.ts";
import type { ServerTlsOptions } from "./server-tls.ts";
import { UpgradeRate } from "./upgrade-rate.ts";

/** Counts of a server; those of sessions are of the sessions that there are now. */
export interface ServerStats {
  readonly state: ServerState;
  /** How clients are authenticated, in words. */
  readonly auth: string;
  /** What they may do, in words. */
  readonly allowed: string;
  readonly sessions: number;
  readonly attached: number;
  readonly detached: number;
  /** Connections without a finished handshake, and how many of them were dropped to make room. */
  readonly handshaking: number;
  readonly droppedHandshakes: number;
  /** WebSockets that became a session's transport, and requests that were refused, ever. */
  readonly transports: number;
  readonly refused: number;
  readonly streams: number;
  /** What all sessions have of `memoryBudgetBytes`, and how tight that is. */
  readonly memoryBytes: number;
  readonly memoryLevel: MemoryLevel;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/** The closing handshakes of all WebSockets together may take this long; each is cut off after 5 s anyway. */
const CLOSE_MS = 6000;
/**
 * The end that accepts: keeps sessions, listens and dials for clients. It serves an HTTP server of its own (`start`),
 * or those of others (`mount`), or both. Used once: after `close` make a new one.
 */
export class Server {
  readonly #options: ResolvedServerOptions;
  readonly #log: Logger;
  readonly #listeners = new Listeners<ServerEvent>();
  readonly #admission: Admission;
  readonly #authenticators: Authenticators;
  readonly #authority: Authority;
  readonly #audit: Audit | undefined;
  readonly #ownPorts = new OwnPorts();
  readonly #door: Door;
  readonly #own: OwnEndpoint;
  readonly #unmounts: (() => void)[] = [];
  #state: ServerState = "idle";
  #closing: Promise<void> | undefined;

  /** @throws CulvertError `invalid_option`. */
  constructor(options: ServerOptions = {}) {
    this.#options = resolveServerOptions(options);
    this.#log = this.#options.logger;
    const { audit: write, users, host } = this.#options;
    const audit = write === undefined ? undefined : new Audit(write, this.#log);
    this.#audit = audit;
    const emit = (event: ServerEvent): void => {
      audit?.hear(event);
      this.#listeners.tell(event);
    };
    this.#authority = new Authority({
      users,
      common: commonGrants(this.#options),
      isLocalServer: () => !this.#own.isOpen || isLoopbackHost(host),
      context: { isOwn: (address, port) => this.#ownPorts.has(address, port) },
    });
    this.#admission = new Admission({ options: this.#options, authority: this.#authority, audit, emit });
    this.#authenticators = new Authenticators({ ...this.#options, certificateOf: peerCertificateOf });
    const { origins, maxUnauthenticated, maxUnauthenticatedPerAddress } = this.#options;
    const rate = new UpgradeRate(this.#options.maxUpgradesPerSecond, performance.now());
    const gate = new Gate({
      authenticators: this.#authenticators,
      origins,
      retryAfterSeconds: () => (this.#takesTransports ? undefined : Math.ceil(retryAfterMs() / 1000)),
      hasTime: (remoteAddress) => rate.take(performance.now(), remoteAddress),
    });
    const admit = (arrival: Arrival): void => {
      const { identity, remoteAddress, userAgent } = arrival;
      const { name, credential } = identity;
      audit?.tell({ type: "login", identity: name, credential, remoteAddress, userAgent });
      this.#admission.receive(arrival);
    };
    const strangers = { most: maxUnauthenticated, mostPerAddress: maxUnauthenticatedPerAddress };
    this.#door = new Door({ gate, strangers, logger: this.#log, emit, admit });
    this.#own = new OwnEndpoint(this.#options, this.#door, this.#ownPorts);
  }

  // -- life

  /**
   * Listens on `host` and `port`; resolves when clients can connect. After a failure it may be called again.
   * @throws CulvertError `address_in_use`, `address_unavailable`, `address_forbidden` or `listen_failed`, naming the
   * address; `already_started`; `not_running` after `close`; `aborted` when closed meanwhile.
   */
  start(): Promise<void> {
    if (this.#isClosing) return Promise.reject(new CulvertError("not_running", "this server was closed"));
    return this.#start();
  }

  async #start(): Promise<void> {
    await this.#own.open();
    if (this.#isClosing) {
      void this.#own.close();
      throw new CulvertError("aborted", "closed before it listened");
    }
    this.#become("running");
    const [auth, allowed] = [this.#authenticators.description, this.#authority.description];
    this.#log.info({ ...this.address, auth, allowed }, "server listens");
    this.#warnOfNothing();
    this.#warnOfCertificates();
  }

  #warnOfNothing(): void {
    if (!this.#authority.allowsNothing || this.#options.authenticate !== undefined) return;
    this.#log.warn(
      {},
      "clients may do nothing yet: give rules (--allow-connect, --allow-listen), or users that have some (--users)",
    );
  }

  /** What is set up and not in force: a client shows its certificate only where it is asked for one. */
  #warnOfCertificates(): void {
    const { isOpen, demandsClientCertificate } = this.#own;
    if (!isOpen || demandsClientCertificate || !this.#authenticators.haveCertificates) return;
    this.#log.warn(
      {},
      "users have certificates, and no client is asked for one: give the authority of theirs (--tls-client-ca, tls.clientCa)",
    );
  }

  /**
   * Replaces the certificate, the key, the CAs of clients and the SNI callback. What is open goes on; the next connections
   * get the new ones, and TLS sessions of before are not resumed. Whether client certificates are demanded cannot change.
   * @throws CulvertError `invalid_option`, and everything is as it was; also for a server that was made without `tls`.
   */
  setTls(options: ServerTlsOptions): void {
    this.#own.setTls(options);
  }

  /**
   * Serves `path` of somebody else's HTTP server, which may listen already or later; its other routes and upgrades stay
   * as they are. Its owner closes it; `close` gives the path back. Without authentication only connections
   * over loopback that did not come through a proxy are served, unless `noAuth` says otherwise.
   * @throws CulvertError `invalid_option`, also when it is known already that nobody could be served; `not_running`.
   */
  mount(httpServer: MountableServer, options: { readonly path?: string } = {}): void {
    if (this.#isClosing) throw new CulvertError("not_running", "this server was closed");
    const path = options.path ?? this.#options.path;
    checkPath("path", path);
    const address = httpServer.address();
    const isForAll = this.#options.noAuth || !this.#authenticators.isOpen;
    if (!isForAll && address !== null && typeof address === "object") {
      const { address: host } = address;
      if (!isLoopbackHost(host) && host !== "::" && host !== "0.0.0.0") {
        throw new CulvertError(
          "invalid_option",
          `the HTTP server listens on ${host}, so clients must be authenticated: set token, users or authenticate, or noAuth`,
        );
      }
    }
    this.#unmounts.push(MountTable.add(httpServer, path, this.#door), this.#ownPorts.add(httpServer));
    if (this.#state === "idle") this.#become("running");
    this.#log.info(
      { path, auth: this.#authenticators.description, allowed: this.#authority.description },
      "server mounted",
    );
  }

  /**
   * From now on these are the users: who may come in, and what each may do. Sessions whose user is gone or has expired, or
   * whose credential is not in it any more, end with `revoked` and cannot be resumed; listeners and dials under way that
   * are not granted any more are given up. Connections that are open go on, further ones are judged by the new rules.
   * @throws CulvertError `invalid_option` when the server was made without `users`.
   */
  setUsers(users: Users): void {
    if (this.#options.users === undefined)
      throw new CulvertError(
        "invalid_option",
        "the server was made without users; give it some, or none in them",
      );
    // In one turn: nobody is judged by half of it.
    this.#authenticators.setUsers(users);
    this.#authority.setUsers(users);
    this.#admission.rulesChanged();
    const [auth, allowed] = [this.#authenticators.description, this.#authority.description];
    this.#log.info({ auth, allowed }, "users changed");
    this.#warnOfNothing();
    this.#warnOfCertificates();
  }

  /** Where it listens since `start`; undefined before and after, and when it is only mounted. */
  get address(): ServerAddress | undefined {
    return this.#own.address;
  }

  get state(): ServerState {
    return this.#state;
  }

  /**
   * Goes away in good order: takes no new sessions and no visitors, lets open streams finish for up to `drainMs` (lost
   * transports can still be resumed meanwhile), then tells the clients and closes everything. Resolves when all is
   * closed and the port is free, a few seconds after `drainMs` at the latest. May be called at any time, and again.
   */
  close(options: { readonly drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.drainMs ?? this.#options.drainMs);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(drainMs: number): Promise<void> {
    this.#become("draining");
    this.#admission.drain();
    await this.#own.started();
    const sessions = this.#admission.sessions();
    for (const session of sessions) session.closeListeners("shutting_down");
    // A client that is away is waited for only if it has connections to lose.
    const busy = sessions.filter(({ link }) => link.state === "attached" || link.stats().streams > 0);
    await Promise.all(busy.map(({ link }) => link.drain(drainMs)));
    for (const { link } of this.#admission.sessions()) link.close("shutting_down");
    this.#door.dropWaiting();
    const closed = this.#own.close();
    await this.#door.empty(CLOSE_MS);
    for (const unmount of this.#unmounts.splice(0)) unmount();
    await Promise.all([closed, ...sessions.map((session) => session.listenersClosed())]);
    this.#admission.close();
    this.#audit?.close();
    this.#become("closed");
    this.#log.info({}, "server closed");
  }

  get #isClosing(): boolean {
    return this.#state === "draining" || this.#state === "closed";
  }

  /** While it drains, transports are taken as long as there is a session that one of them might resume. */
  get #takesTransports(): boolean {
    return this.#state === "running" || (this.#state === "draining" && this.#admission.size > 0);
  }

  #become(current: ServerState): void {
    const previous = this.#state;
    if (previous === current) return; // mounted, and now started as well
    this.#state = current;
    this.#listeners.tell({ type: "state", previous, current });
  }

  // -- looking

  /** The sessions that there are now, attached and detached. */
  sessions(): SessionInfo[] {
    return this.#admission.sessions().map((session) => session.info());
  }

  stats(): ServerStats {
    const links = this.#admission.sessions().map(({ link }) => link.stats());
    return {
      state: this.#state,
      auth: this.#authenticators.description,
      allowed: this.#authority.description,
      sessions: links.length,
      attached: links.filter(({ state }) => state === "attached").length,
      detached: links.filter(({ state }) => state === "detached").length,
      handshaking: this.#door.handshaking,
      droppedHandshakes: this.#door.droppedHandshakes,
      transports: this.#door.transports,
      refused: this.#door.refused,
      streams: links.reduce((sum, { streams }) => sum + streams, 0),
      memoryBytes: this.#admission.memory.bytes,
      memoryLevel: this.#admission.memory.level,
      bytesSent: links.reduce((sum, { bytesSent }) => sum + bytesSent, 0),
      bytesReceived: links.reduce((sum, { bytesReceived }) => sum + bytesReceived, 0),
    };
  }

  /** Calls `listener` for every event of that type. Returns what takes it off again. */
  on<T extends ServerEventType>(type: T, listener: (event: ServerEventOf<T>) => void): () => void {
    return this.#listeners.on(type, listener);
  }
}
