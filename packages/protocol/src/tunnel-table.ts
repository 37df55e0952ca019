import { CulvertError, type ErrorCode, ProtocolError } from "./errors.ts";
import { encodeTunnelClose, encodeTunnelClosed, encodeTunnelOpen, encodeTunnelReady } from "./frame.ts";

/** `asked`: TUNNEL_OPEN. `ready`: TUNNEL_READY. `closing`: TUNNEL_CLOSE, or a TUNNEL_CLOSED that has not left yet. */
type TunnelState = "asked" | "ready" | "closing";

/**
 * The tunnels that one peer asked the other to listen for, in both directions. Ids are never reused, so a frame about
 * an old tunnel can never hit a new one. A tunnel is over when TUNNEL_CLOSED is handed to a transport, at the other end
 * when it arrives: whoever asks never counts fewer than who listens.
 */
export class TunnelTable {
  readonly #control: (frame: Uint8Array, onNumbered?: () => void) => void;
  readonly #mostForPeer: number;
  readonly #mostForUs: number;
  readonly #ours = new Map<number, TunnelState>();
  readonly #theirs = new Map<number, TunnelState>();
  #lastOurs = 0;
  #lastTheirs = 0;

  constructor(
    control: (frame: Uint8Array, onNumbered?: () => void) => void,
    limits: { readonly forPeer: number; readonly forUs: number },
  ) {
    this.#control = control;
    this.#mostForPeer = limits.forPeer;
    this.#mostForUs = limits.forUs;
  }

  // -- as the side that asks

  /** Asks the peer to listen. @throws CulvertError `tunnel_limit` at the limit that the peer announced. */
  request(listen: string, name: string): number {
    if (this.#ours.size >= this.#mostForUs)
      throw new CulvertError("tunnel_limit", `the peer allows ${this.#mostForUs}`);
    const id = this.#lastOurs + 1;
    const frame = encodeTunnelOpen(id, listen, name);
    this.#lastOurs = id;
    this.#ours.set(id, "asked");
    this.#control(frame);
    return id;
  }

  close(tunnelId: number): void {
    const state = this.#ours.get(tunnelId);
    if (state === undefined || state === "closing") return;
    this.#ours.set(tunnelId, "closing");
    this.#control(encodeTunnelClose(tunnelId));
  }

  /** TUNNEL_READY came; false when nobody waits for it any more. */
  receiveReady(tunnelId: number): boolean {
    const state = this.#ours.get(tunnelId);
    if (state === undefined || state === "ready") throw new ProtocolError("unexpected_frame", "TUNNEL_READY");
    if (state === "closing") return false;
    this.#ours.set(tunnelId, "ready");
    return true;
  }

  receiveClosed(tunnelId: number): void {
    if (!this.#ours.delete(tunnelId)) throw new ProtocolError("unexpected_frame", "TUNNEL_CLOSED");
  }

  // -- as the side that listens

  receiveOpen(tunnelId: number): void {
    if (tunnelId <= this.#lastTheirs)
      throw new ProtocolError("unexpected_frame", "TUNNEL_OPEN with an old id");
    if (this.#theirs.size >= this.#mostForPeer) throw new ProtocolError("limit_exceeded", "tunnels");
    this.#lastTheirs = tunnelId;
    this.#theirs.set(tunnelId, "asked");
  }

  /** True when the listener is to be closed; answered with `closed`. Its TUNNEL_CLOSED may be under way already. */
  receiveClose(tunnelId: number): boolean {
    if (tunnelId > this.#lastTheirs) throw new ProtocolError("unexpected_frame", "TUNNEL_CLOSE");
    return this.#theirs.has(tunnelId) && this.#theirs.get(tunnelId) !== "closing";
  }

  ready(tunnelId: number, listen: string): void {
    if (this.#theirs.get(tunnelId) !== "asked") return;
    this.#theirs.set(tunnelId, "ready");
    this.#control(encodeTunnelReady(tunnelId, listen));
  }

  closed(tunnelId: number, code: ErrorCode): void {
    const state = this.#theirs.get(tunnelId);
    if (state === undefined || state === "closing") return;
    this.#theirs.set(tunnelId, "closing");
    this.#control(encodeTunnelClosed(tunnelId, code), () => this.#theirs.delete(tunnelId));
  }
}
