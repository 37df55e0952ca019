import { FairRoom, type Link, type RoomShare } from "@culvert/peer";
import { CulvertError, type IncomingStream } from "@culvert/protocol";
import type { ResolvedClientOptions } from "./client-options.ts";
import { ConnectTunnel } from "./connect-tunnel.ts";
import { ListenTunnel } from "./listen-tunnel.ts";
import { CONNECT } from "./mode.ts";
import type { Tunnel, TunnelEvent } from "./tunnel.ts";
import { isSameTunnel, type TunnelSpec } from "./tunnel-options.ts";

type TunnelSetOptions = Pick<
  ResolvedClientOptions,
  "session" | "dialTimeoutMs" | "maxSockets" | "lookup" | "logger" | "retry" | "random"
> & {
  readonly onEvent: (tunnel: Tunnel, event: TunnelEvent) => void;
};

/** A tunnel, or one that is about to be. */
interface Entry {
  readonly spec: TunnelSpec;
  readonly opening: Promise<Tunnel>;
  tunnel: Tunnel | undefined;
}

/** The tunnels of one run of a client. What is made in it, it closes. */
export class TunnelSet {
  readonly #options: TunnelSetOptions & { readonly sockets: RoomShare };
  readonly #entries = new Set<Entry>();
  #link: Link | undefined;
  #isClosed = false;

  constructor(options: TunnelSetOptions) {
    // All of it is for the one session that a client has.
    this.#options = { ...options, sockets: new FairRoom(options.maxSockets, 1).share() };
  }

  list(): Tunnel[] {
    return [...this.#entries].flatMap(({ tunnel }) => tunnel ?? []);
  }

  /**
   * Makes the tunnel; a CONNECT tunnel listens when it resolves. The same one twice gives the existing one.
   * @throws CulvertError `listen_failed`, with the cause; `not_running` when the set was closed.
   */
  async open(spec: TunnelSpec): Promise<Tunnel> {
    if (this.#isClosed) throw new CulvertError("not_running");
    const existing = [...this.#entries].find((entry) => isSameTunnel(entry.spec, spec));
    if (existing !== undefined) {
      this.#options.logger.warn({ tunnel: spec.name, mode: spec.mode }, "the same tunnel is already there");
      return existing.opening;
    }
    const entry: Entry = { spec, opening: this.#make(spec), tunnel: undefined };
    this.#entries.add(entry);
    let tunnel: Tunnel;
    try {
      tunnel = await entry.opening;
    } catch (error) {
      this.#entries.delete(entry);
      throw error;
    }
    if (this.#isClosed) {
      await tunnel.close();
      throw new CulvertError("not_running", "closed meanwhile");
    }
    entry.tunnel = tunnel;
    tunnel.on("closed", () => this.#entries.delete(entry));
    if (tunnel.state === "closed") this.#entries.delete(entry);
    else tunnel.setLink(this.#link);
    return tunnel;
  }

  async #make(spec: TunnelSpec): Promise<Tunnel> {
    return spec.mode === CONNECT
      ? await ConnectTunnel.listen(spec, this.#options)
      : new ListenTunnel(spec, this.#options);
  }

  /** There is a session now, or none. */
  setLink(link: Link | undefined): void {
    this.#link = link;
    for (const tunnel of this.list()) tunnel.setLink(link);
  }

  /**
   * A stream that the server opens. It must name a tunnel that this client asked for, and no target: a client dials
   * nothing that it did not offer, whoever asks.
   */
  receive(incoming: IncomingStream): void {
    const { tunnelId, target } = incoming.request;
    const tunnel = this.list().find((one) => one instanceof ListenTunnel && one.tunnelId === tunnelId);
    if (target !== undefined || tunnelId === undefined) this.#refuse(incoming, "not_accepted");
    else if (tunnel instanceof ListenTunnel) tunnel.receive(incoming);
    else this.#refuse(incoming, "unknown_tunnel");
  }

  #refuse(incoming: IncomingStream, code: "not_accepted" | "unknown_tunnel"): void {
    const { tunnelId, visitor } = incoming.request;
    this.#options.logger.warn({ stream: incoming.id, tunnelId, visitor, code }, "stream refused");
    incoming.refuse(code);
  }

  /** Closes all of them, also those that are just being made. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const opening = [...this.#entries].map(({ opening: tunnel }) =>
      tunnel.then(
        (one) => one.close(),
        () => undefined,
      ),
    );
    await Promise.all(opening);
    this.#entries.clear();
  }
}
