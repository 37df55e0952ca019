import { type Link, type LinkStats, Listeners, newInstanceId, TunnelStream } from "@culvert/peer";
import { CulvertError, checkTarget, formatEndpoint, parseEndpoint } from "@culvert/protocol";
import { type ClientOptions, type ResolvedClientOptions, resolveClientOptions } from "./client-options.ts";
import { type ClientState, ClientStateCell } from "./client-state.ts";
import { type ClientTls, type ClientTlsOptions, resolveClientTls } from "./client-tls.ts";
import { Deferred } from "./deferred.ts";
import { SessionLoop } from "./session-loop.ts";
import type { Tunnel, TunnelEvent } from "./tunnel.ts";
import { resolveTunnelOptions, type TunnelOptions } from "./tunnel-options.ts";
import { TunnelSet } from "./tunnel-set.ts";

/** Everything that a client tells. */
export type ClientEvent =
  /** `cause` says why, unless it went on in good order. */
  | {
      readonly type: "state";
      readonly previous: ClientState;
      readonly current: ClientState;
      readonly cause: CulvertError | undefined;
    }
  /** Something that a tunnel told: {@link TunnelEvent}. */
  | { readonly type: "tunnel"; readonly tunnel: Tunnel; readonly event: TunnelEvent }
  /** A text from the server's operator. */
  | { readonly type: "note"; readonly text: string };

export type ClientEventType = ClientEvent["type"];
export type ClientEventOf<T extends ClientEventType> = Extract<ClientEvent, { readonly type: T }>;

/** A look at a client. Counts are since its start. */
export interface ClientStats {
  readonly state: ClientState;
  readonly name: string;
  /** WebSockets that were dialed, and sessions that were made. */
  readonly dials: number;
  readonly sessions: number;
  /** The session that there is now. */
  readonly session: { readonly id: string; readonly server: string; readonly link: LinkStats } | undefined;
  readonly tunnels: readonly (Pick<Tunnel, "name" | "mode" | "listen" | "state" | "address"> &
    Readonly<Record<"stats", ReturnType<Tunnel["stats"]>>>)[];
}

/** From one `start` to its end. */
interface Run {
  readonly tunnels: TunnelSet;
  readonly started: Deferred<void>;
  loop: SessionLoop | undefined;
  closing: Promise<void> | undefined;
}

/**
 * The end that dials: keeps a session with a server alive, whatever becomes of its WebSockets, and serves tunnels over it.
 *
 * It owns the listeners that it opens and the connections that it dials, and closes them with itself; streams of `dial` and
 * of callbacks belong to whoever got them, and are reset when the session ends. After `close` it can be started again.
 */
export class Client {
  readonly #options: ResolvedClientOptions;
  #tls: ClientTls | undefined;
  readonly #listeners = new Listeners<ClientEvent>();
  readonly #state: ClientStateCell;
  #run: Run | undefined;
  #closed = new Deferred<CulvertError | undefined>();

  /** @throws CulvertError `invalid_option`, or `bad_address` for an endpoint. */
  constructor(options: ClientOptions) {
    this.#options = resolveClientOptions(options);
    this.#tls = this.#options.tls;
    this.#state = new ClientStateCell((previous, current, cause) => {
      this.#options.logger.info({ previous, current, code: cause?.code }, "client state");
      this.#listeners.tell({ type: "state", previous, current, cause });
    });
  }

  get state(): ClientState {
    return this.#state.current;
  }

  /** The name under which the server knows it. */
  get name(): string {
    return this.#options.name;
  }

  /** The tunnels that there are now. */
  get tunnels(): readonly Tunnel[] {
    return this.#run?.tunnels.list() ?? [];
  }

  /**
   * Resolves at the end of the present run, or of the one to come: with the cause, or with undefined after `close`. Never
   * rejects. `displaced` means that another client of the same name took over, and that coming back would displace it.
   */
  get closed(): Promise<CulvertError | undefined> {
    return this.#closed.promise;
  }

  /** Calls `listener` for every event of that type. Returns what takes it off again. */
  on<T extends ClientEventType>(type: T, listener: (event: ClientEventOf<T>) => void): () => void {
    return this.#listeners.on(type, listener);
  }

  /**
   * From the next dial on servers are trusted by this, and this certificate is shown to them. What is open goes on.
   * @throws CulvertError `invalid_option`, and everything is as it was; also for a client that was made without `tls`.
   */
  setTls(tls: ClientTlsOptions): void {
    if (this.#tls === undefined) throw new CulvertError("invalid_option", "this client was made without tls");
    this.#tls = resolveClientTls(tls);
  }

  // -- life

  /**
   * Opens the listeners of CONNECT tunnels, then dials. Resolves when there is a session and the server has answered for
   * every LISTEN tunnel once; one that it refused is asked for again in the background (see `tunnel.state`). While the
   * server cannot be reached it goes on by the retry policy.
   *
   * @param options.signal Aborts the start; no longer used when that is done.
   * @throws CulvertError and nothing is left open: `listen_failed` (its `cause` has the code that says why), `unauthorized`,
   * `refused_by_server`, `version_unsupported`, `not_culvert`, `displaced`, `attempts_exhausted`, `deadline_exhausted`,
   * `aborted` also when closed meanwhile, `already_started`.
   */
  async start(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#run !== undefined) throw new CulvertError("already_started");
    const lifelong = this.#options.signal;
    if (options.signal?.aborted === true || lifelong?.aborted === true) throw new CulvertError("aborted");
    const run: Run = {
      tunnels: new TunnelSet({
        ...this.#options,
        onEvent: (tunnel, event) => this.#listeners.tell({ type: "tunnel", tunnel, event }),
      }),
      started: new Deferred(),
      loop: undefined,
      closing: undefined,
    };
    this.#run = run;
    if (this.#closed.isSettled) this.#closed = new Deferred();
    const abort = (): void => void this.#end(run, 0, new CulvertError("aborted"));
    options.signal?.addEventListener("abort", abort);
    lifelong?.addEventListener("abort", abort);
    void this.#closed.promise.then(() => lifelong?.removeEventListener("abort", abort));
    this.#state.move("connecting");
    void this.#begin(run);
    try {
      await run.started.promise;
    } finally {
      options.signal?.removeEventListener("abort", abort);
    }
  }

  async #begin(run: Run): Promise<void> {
    try {
      await Promise.all(this.#options.tunnels.map((spec) => run.tunnels.open(spec)));
    } catch (error) {
      await this.#end(run, 0, asCulvertError(error));
      return;
    }
    if (run.closing !== undefined) return;
    const currentTls = (): ClientTls | undefined => this.#tls;
    run.loop = new SessionLoop(
      {
        ...this.#options,
        // Of this run: tells the server that a second HELLO is a repetition and not another client. The numbers of the
        // attempts begin anew with it.
        instance: newInstanceId(),
        // Looked up at each dial: it may have been replaced.
        get tls() {
          return currentTls();
        },
      },
      {
        onSession: (link) => this.#adopt(run, link),
        onOpen: (link, resumed) => this.#opened(run, link, resumed),
        onDetached: (cause) => {
          if (this.state === "open") this.#state.move("detached", cause);
        },
        onLost: (cause) => {
          run.tunnels.setLink(undefined);
          if (this.state !== "closing") this.#state.move("connecting", cause);
        },
        onOver: (cause) => void this.#end(run, 0, cause),
      },
    );
  }

  #adopt(run: Run, link: Link): void {
    link.onStream = (incoming) => run.tunnels.receive(incoming);
    // The server has nothing to ask for: HELLO says that no tunnels are taken.
    link.onTunnelRequest = (request) => request.closed("not_accepted");
    link.onGoaway = (code) => this.#options.logger.info({ code }, "the server takes no new streams");
    link.onNote = (text) => {
      this.#options.logger.info({ text }, "note from the server");
      this.#listeners.tell({ type: "note", text });
    };
  }

  #opened(run: Run, link: Link, resumed: boolean): void {
    if (this.state === "closing") return;
    this.#state.move("open");
    if (resumed) return;
    run.tunnels.setLink(link);
    void Promise.all(run.tunnels.list().map((tunnel) => tunnel.firstAnswer)).then(() =>
      run.started.resolve(),
    );
  }

  /**
   * Ends in good order: stops listening, lets open streams finish for up to `drainMs` (default: the option), and tells the
   * server. Bounded by `drainMs` and a few seconds; while there is no session it ends at once. May be called at any time,
   * and again: then it waits for the first one.
   */
  close(options: { readonly drainMs?: number } = {}): Promise<void> {
    const run = this.#run;
    if (run === undefined) return Promise.resolve();
    return this.#end(run, options.drainMs ?? this.#options.drainMs, undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #end(run: Run, drainMs: number, cause: CulvertError | undefined): Promise<void> {
    run.closing ??= this.#shutDown(run, drainMs, cause);
    return run.closing;
  }

  async #shutDown(run: Run, drainMs: number, cause: CulvertError | undefined): Promise<void> {
    // Not before `run.closing` is set: a listener of the event may call `close`.
    await Promise.resolve();
    this.#state.move("closing", cause);
    await run.tunnels.close();
    await run.loop?.close(drainMs);
    this.#run = undefined;
    this.#state.move("closed", cause);
    run.started.reject(cause ?? new CulvertError("aborted", "closed while starting"));
    this.#closed.resolve(cause);
  }

  // -- use

  /**
   * Opens a tunnel on a running client. Resolves when it listens; for LISTEN mode, when the server has answered once, which
   * may have been no: see `tunnel.state`. The same mode, listen and connect twice give the existing tunnel.
   *
   * @throws CulvertError `invalid_option`, `bad_address`, `listen_failed` with the cause, `not_running` also when closed meanwhile.
   */
  async openTunnel(options: TunnelOptions): Promise<Tunnel> {
    const spec = resolveTunnelOptions(options);
    const tunnel = await this.#running().tunnels.open(spec);
    await tunnel.firstAnswer;
    if (tunnel.state === "closed") throw new CulvertError("not_running", "the tunnel was closed meanwhile");
    return tunnel;
  }

  /** The same as `tunnel.close()`: connections that are open go on. */
  async closeTunnel(tunnel: Tunnel): Promise<void> {
    await tunnel.close();
  }

  /**
   * Connects to `target` through the server, without any listener. The stream can be written to at once; `connect` comes
   * when the target has answered, and `error` with a CulvertError when it cannot be reached or there is no session. While
   * the session is detached it waits. The caller owns the stream.
   *
   * @throws CulvertError `bad_address`, `not_running`.
   */
  dial(target: string): TunnelStream {
    const endpoint = parseEndpoint(target, "target");
    checkTarget(endpoint);
    const link = this.#running().loop?.link;
    const stream = new TunnelStream();
    try {
      if (link === undefined) throw new CulvertError("connect_failed", "there is no session with the server");
      stream.bind(link.openStream({ kind: "tcp", target: formatEndpoint(endpoint) }, stream));
    } catch (error) {
      stream.destroy(asCulvertError(error));
    }
    return stream;
  }

  /** Sends a line of text to the server's operator. @throws CulvertError `not_running` without a session. */
  note(text: string): void {
    const link = this.#run?.loop?.link;
    if (link === undefined) throw new CulvertError("not_running", "there is no session with the server");
    link.note(text);
  }

  stats(): ClientStats {
    const loop = this.#run?.loop;
    const { link, sessionId: id, server } = loop ?? {};
    const session =
      link === undefined || id === undefined || server === undefined
        ? undefined
        : { id, server, link: link.stats() };
    const tunnels = this.tunnels.map((tunnel) => {
      const { name, mode, listen, state, address } = tunnel;
      return { name, mode, listen, state, address, stats: tunnel.stats() };
    });
    const { dials, sessions } = loop?.counters ?? { dials: 0, sessions: 0 };
    return { state: this.state, name: this.name, dials, sessions, session, tunnels };
  }

  #running(): Run {
    const run = this.#run;
    if (run === undefined || run.closing !== undefined) throw new CulvertError("not_running");
    return run;
  }
}

function asCulvertError(error: unknown): CulvertError {
  return error instanceof CulvertError
    ? error
    : new CulvertError("internal_error", String(error), { cause: error });
}
