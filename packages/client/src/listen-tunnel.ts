import type { LookupFunction } from "node:net";
import {
  type DialDecision,
  DialingSide,
  type DialingStats,
  type Link,
  type Logger,
  type RoomShare,
  TunnelStream,
} from "@culvert/peer";
import {
  CulvertError,
  type Endpoint,
  ERRORS,
  type ErrorCode,
  formatEndpoint,
  type IncomingStream,
  parseEndpoint,
  type SessionOptions,
} from "@culvert/protocol";
import { ladderDelay } from "./backoff.ts";
import { Deferred } from "./deferred.ts";
import { pause } from "./pause.ts";
import type { ResolvedRetryOptions } from "./retry-options.ts";
import { Tunnel, type TunnelEvent, type TunnelState } from "./tunnel.ts";
import type { StreamCallback, TunnelSpec } from "./tunnel-options.ts";

export interface ListenTunnelOptions {
  readonly dialTimeoutMs: number;
  readonly lookup: LookupFunction | undefined;
  readonly session: Pick<SessionOptions, "idleTimeoutMs" | "halfClosedTimeoutMs">;
  /** Where its sockets count. */
  readonly sockets: RoomShare;
  readonly logger: Logger;
  /** The ladder on which a refused listener is asked for again. */
  readonly retry: Pick<ResolvedRetryOptions, "baseMs" | "factor" | "capMs">;
  readonly random: () => number;
  readonly onEvent: (tunnel: Tunnel, event: TunnelEvent) => void;
}

type ListenState =
  /** There is no session. */
  | { readonly name: "waiting" }
  /** Asked; the answer is to come. */
  | { readonly name: "asked"; readonly link: Link; readonly tunnelId: number; readonly gone: AbortSignal }
  | {
      readonly name: "ready";
      readonly link: Link;
      readonly tunnelId: number;
      readonly gone: AbortSignal;
      readonly address: string;
    }
  | { readonly name: "failed"; readonly link: Link; readonly timer: NodeJS.Timeout | undefined }
  | { readonly name: "closed" };

/** How long `close` waits for the server's word that it does not listen any more. */
const CLOSE_MS = 2_000;

const SHOWN: Readonly<Record<ListenState["name"], TunnelState>> = {
  waiting: "opening",
  asked: "opening",
  ready: "ready",
  failed: "failed",
  closed: "closed",
};

/**
 * LISTEN mode: the server listens, and this side dials or hands each stream to a callback. Asked of each new session
 * again; a listen port of 0 asks for the port that it had, and takes another one if that is gone.
 */
export class ListenTunnel extends Tunnel {
  readonly #options: ListenTunnelOptions;
  readonly #log: Logger;
  readonly #dialing: DialingSide;
  readonly #firstAnswer = new Deferred<void>();
  #state: ListenState = { name: "waiting" };
  /** Refusals in a row. */
  #refusals = 0;
  /** With listen port 0: the address with the port that it had the last time. */
  #former: string | undefined;
  #closing: Promise<void> | undefined;

  constructor(spec: TunnelSpec, options: ListenTunnelOptions) {
    super(spec, options.onEvent);
    this.#options = options;
    this.#log = options.logger.child({ tunnel: spec.name });
    const { dialTimeoutMs, lookup, sockets, session: timeouts } = options;
    this.#dialing = new DialingSide({ dialTimeoutMs, lookup, sockets, timeouts, logger: this.#log });
  }

  get state(): TunnelState {
    return SHOWN[this.#state.name];
  }

  get address(): string | undefined {
    return this.#state.name === "ready" ? this.#state.address : undefined;
  }

  /** Under this id the server opens streams of this tunnel, on the present session. */
  get tunnelId(): number | undefined {
    return this.#state.name === "asked" || this.#state.name === "ready" ? this.#state.tunnelId : undefined;
  }

  override get firstAnswer(): Promise<void> {
    return this.#firstAnswer.promise;
  }

  stats(): DialingStats {
    return this.#dialing.stats();
  }

  override setLink(link: Link | undefined): void {
    if (this.#state.name === "closed") return;
    this.#stopTimer();
    this.#refusals = 0;
    this.#state = { name: "waiting" };
    if (link !== undefined) this.#ask(link);
  }

  #ask(link: Link): void {
    const listen = this.#former ?? this.listen;
    let tunnelId = -1;
    const gone = new AbortController();
    // An answer to a question of before: another session, or a tunnel that was asked for again.
    const isStale = (): boolean => this.tunnelId !== tunnelId || this.#link !== link;
    try {
      tunnelId = link.requestTunnel(listen, this.name, {
        onReady: (listening) => {
          if (!isStale()) this.#ready(link, tunnelId, gone.signal, listening);
        },
        onClosed: (code) => {
          gone.abort();
          if (!isStale()) this.#refused(link, listen, code);
        },
      });
      this.#state = { name: "asked", link, tunnelId, gone: gone.signal };
    } catch (error) {
      this.#refused(link, listen, error instanceof CulvertError ? error.code : "internal_error");
    }
  }

  get #link(): Link | undefined {
    return "link" in this.#state ? this.#state.link : undefined;
  }

  #ready(link: Link, tunnelId: number, gone: AbortSignal, listening: string): void {
    const address = addressOf(this.spec.listen, listening);
    if (address === undefined) {
      this.#violated(link, listening);
      return;
    }
    this.#refusals = 0;
    this.#state = { name: "ready", link, tunnelId, gone, address };
    if (this.spec.listen.scheme === "tcp" && this.spec.listen.port === 0) this.#former = address;
    this.#log.info({ address }, "the server listens");
    this.#firstAnswer.resolve();
    this.tell({ type: "ready", address });
  }

  /** The server says that it listens where nobody asked it to, or nowhere. */
  #violated(link: Link, listening: string): void {
    const cause = new CulvertError("bad_address", `the server's answer ${JSON.stringify(listening)}`);
    this.#state = { name: "failed", link, timer: undefined };
    this.#log.error(
      { listen: this.listen, code: cause.code, reason: cause.message },
      "the server cannot listen",
    );
    this.#firstAnswer.resolve();
    this.tell({ type: "failed", cause, retryInMs: undefined });
    link.close("bad_frame");
  }

  /** The server does not listen, or no longer. */
  #refused(link: Link, listen: string, code: ErrorCode): void {
    if (link.state === "ended") {
      this.#state = { name: "waiting" }; // every tunnel is told so; a new session will be asked
      return;
    }
    if (code === "shutting_down" || code === "draining") {
      // It would refuse again until it is gone; the next session is asked, for the former port first.
      this.#state = { name: "failed", link, timer: undefined };
      this.#log.info({ listen, code }, "the server goes away, the next session is asked");
      this.#firstAnswer.resolve();
      this.tell({ type: "failed", cause: new CulvertError(code, listen), retryInMs: undefined });
      return;
    }
    if (listen === this.#former && PORT_TAKEN.has(code)) {
      this.#log.info({ listen, code }, "the former port is gone, any other will do");
      this.#former = undefined;
      this.#ask(link);
      return;
    }
    const { retry, random } = this.#options;
    const retryInMs = ERRORS[code].retryable
      ? Math.ceil(ladderDelay(this.#refusals, retry, random))
      : undefined;
    const timer = retryInMs === undefined ? undefined : setTimeout(() => this.#ask(link), retryInMs);
    this.#refusals += 1;
    this.#state = { name: "failed", link, timer };
    const cause = new CulvertError(code, listen);
    this.#log.warn({ listen, code, reason: cause.message, retryInMs }, "the server cannot listen");
    this.#firstAnswer.resolve();
    this.tell({ type: "failed", cause, retryInMs });
  }

  /** @internal A stream of this tunnel. */
  receive(incoming: IncomingStream): void {
    const { connect } = this.spec;
    if (typeof connect === "function") this.#handOver(incoming, connect);
    else this.#dialing.answer(incoming, dialTo(connect));
  }

  #handOver(incoming: IncomingStream, callback: StreamCallback): void {
    const stream = new TunnelStream({ connecting: false });
    stream.bind(incoming.accept(stream));
    const info = { visitor: incoming.request.visitor, listen: this.listen, name: this.name };
    const failed = (error: unknown): void => {
      this.#log.error({ stream: incoming.id, reason: String(error) }, "the callback of a tunnel failed");
      stream.destroy(new CulvertError("internal_error", undefined, { cause: error }));
    };
    try {
      Promise.resolve(callback(stream, info)).catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const state = this.#state;
    this.#stopTimer();
    this.#state = { name: "closed" };
    const isAsked = state.name === "asked" || state.name === "ready";
    if (isAsked && state.link.state !== "ended") state.link.closeTunnel(state.tunnelId);
    this.#firstAnswer.resolve();
    this.tell({ type: "closed" });
    // The address is free when the server says so. Without a transport it cannot, and nobody is kept waiting for that.
    if (isAsked && state.link.state === "attached") await pause(CLOSE_MS, state.gone);
  }

  #stopTimer(): void {
    if (this.#state.name === "failed") clearTimeout(this.#state.timer);
  }
}

/** The former port cannot be had. Any other refusal says nothing about the port. */
const PORT_TAKEN: ReadonlySet<ErrorCode> = new Set([
  "address_in_use",
  "listener_held",
  "address_unavailable",
  "address_forbidden",
  "bind_failed",
  // Any free port may be allowed, and none that is asked for.
  "forbidden",
]);

/**
 * Where a server listens that was asked to at `asked` and says `listening`; undefined when that cannot be. Only a port is
 * the server's to say: what it says is shown to people, and asked of whatever server the next session is with.
 */
function addressOf(asked: Endpoint, listening: string): string | undefined {
  let said: Endpoint;
  try {
    said = parseEndpoint(listening);
  } catch {
    return undefined;
  }
  if (asked.scheme === "tcp" && said.scheme === "tcp") {
    return said.port === 0 ? undefined : formatEndpoint({ ...asked, port: said.port });
  }
  return asked.scheme === said.scheme ? formatEndpoint(asked) : undefined;
}

function dialTo(endpoint: Endpoint): DialDecision {
  return { kind: "dial", endpoint };
}
