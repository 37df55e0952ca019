import { type DialingStats, type Link, Listeners, type ListeningTunnelStats } from "@culvert/peer";
import { type CulvertError, formatEndpoint } from "@culvert/protocol";
import type { Mode } from "./mode.ts";
import { connectText, type StreamCallback, type TunnelSpec } from "./tunnel-options.ts";

/**
 * `opening`: nobody listens yet. `ready`: visitors are served, or wait while the session is detached. `failed`: the
 * listener was refused; it is asked for again if that can help. `closed`: for good.
 */
export type TunnelState = "opening" | "ready" | "failed" | "closed";

/** What a tunnel tells. */
export type TunnelEvent =
  /** Visitors can come, to this address; again after each new session, perhaps elsewhere. */
  | { readonly type: "ready"; readonly address: string }
  /** `retryInMs`: when it is asked for again; undefined when that cannot help before there is a new session. */
  | { readonly type: "failed"; readonly cause: CulvertError; readonly retryInMs: number | undefined }
  | { readonly type: "closed" };

/** Made by `new Client({ tunnels })` or `client.openTunnel()`; lives until it or its client is closed. */
export abstract class Tunnel {
  readonly mode: Mode;
  /** What was asked for, in canonical form. */
  readonly listen: string;
  readonly connect: string | StreamCallback;
  readonly name: string;
  /** @internal */
  readonly spec: TunnelSpec;
  readonly #listeners = new Listeners<TunnelEvent>();
  readonly #onEvent: (tunnel: Tunnel, event: TunnelEvent) => void;

  /** @param onEvent Hears of every event, before anybody else does. */
  constructor(spec: TunnelSpec, onEvent: (tunnel: Tunnel, event: TunnelEvent) => void) {
    this.spec = spec;
    this.#onEvent = onEvent;
    this.mode = spec.mode;
    this.listen = formatEndpoint(spec.listen);
    this.connect = typeof spec.connect === "function" ? spec.connect : connectText(spec.connect);
    this.name = spec.name;
  }

  abstract get state(): TunnelState;
  /** Where it listens, with the real port; undefined while nobody does. For LISTEN, the host as it was asked for. */
  abstract get address(): string | undefined;
  abstract stats(): ListeningTunnelStats | DialingStats;
  /**
   * Stops listening; the address is free when it resolves, unless the server cannot be reached to say so. Connections
   * that are open go on.
   */
  abstract close(): Promise<void>;

  /** @internal Resolves when it is known for the first time whether somebody listens, or when the tunnel is closed. */
  abstract get firstAnswer(): Promise<void>;
  /** @internal There is a session now, or none. */
  abstract setLink(link: Link | undefined): void;

  /** Calls `listener` for every event of that type. Returns what takes it off again. */
  on<T extends TunnelEvent["type"]>(
    type: T,
    listener: (event: Extract<TunnelEvent, { readonly type: T }>) => void,
  ): () => void {
    return this.#listeners.on(type, listener);
  }

  protected tell(event: TunnelEvent): void {
    this.#onEvent(this, event);
    this.#listeners.tell(event);
  }
}
