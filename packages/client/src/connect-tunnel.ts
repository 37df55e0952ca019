import {
  type Link,
  ListeningTunnel,
  type ListeningTunnelStats,
  type Logger,
  type RoomShare,
} from "@culvert/peer";
import { CulvertError, formatEndpoint, type SessionOptions } from "@culvert/protocol";
import { Tunnel, type TunnelEvent, type TunnelState } from "./tunnel.ts";
import { connectText, type TunnelSpec } from "./tunnel-options.ts";

export interface ConnectTunnelOptions {
  /** Bounds the visitors: no more than the session may have streams. */
  readonly session: Pick<SessionOptions, "maxStreams" | "idleTimeoutMs" | "halfClosedTimeoutMs">;
  /** Where its sockets count. */
  readonly sockets: RoomShare;
  readonly logger: Logger;
  readonly onEvent: (tunnel: Tunnel, event: TunnelEvent) => void;
}

/**
 * CONNECT mode: listens here, the server dials. It listens from its making until it is closed, whatever becomes of
 * sessions; without one its visitors are reset at once.
 */
export class ConnectTunnel extends Tunnel {
  readonly #listening: ListeningTunnel;
  #state: "ready" | "closed" = "ready";
  #closing: Promise<void> | undefined;

  private constructor(
    spec: TunnelSpec,
    listening: ListeningTunnel,
    onEvent: ConnectTunnelOptions["onEvent"],
  ) {
    super(spec, onEvent);
    this.#listening = listening;
    this.tell({ type: "ready", address: formatEndpoint(listening.address) });
  }

  /** @throws CulvertError `listen_failed`; its cause has the code that says why, `address_in_use` for one. */
  static async listen(
    spec: TunnelSpec,
    { session, sockets, logger, onEvent }: ConnectTunnelOptions,
  ): Promise<ConnectTunnel> {
    const log = logger.child({ tunnel: spec.name });
    let listening: ListeningTunnel;
    try {
      listening = await ListeningTunnel.listen({
        listen: spec.listen,
        request: { target: connectText(spec.connect) },
        maxVisitors: session.maxStreams,
        sockets,
        timeouts: session,
        logger: log,
      });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new CulvertError("listen_failed", `${formatEndpoint(spec.listen)}: ${reason}`, { cause });
    }
    log.info({ address: formatEndpoint(listening.address), target: connectText(spec.connect) }, "listening");
    return new ConnectTunnel(spec, listening, onEvent);
  }

  get state(): TunnelState {
    return this.#state;
  }

  get address(): string | undefined {
    return this.#state === "closed" ? undefined : formatEndpoint(this.#listening.address);
  }

  override get firstAnswer(): Promise<void> {
    return Promise.resolve();
  }

  stats(): ListeningTunnelStats {
    return this.#listening.stats();
  }

  override setLink(link: Link | undefined): void {
    this.#listening.setLink(link);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#listening.close();
    this.#state = "closed";
    this.tell({ type: "closed" });
  }
}
