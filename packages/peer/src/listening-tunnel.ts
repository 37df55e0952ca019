import { CulvertError, type Endpoint, type OpenRequest } from "@culvert/protocol";
import { resetSocket } from "./carried-socket.ts";
import type { RoomShare } from "./fair-room.ts";
import type { Link } from "./link.ts";
import { Listener, type Visitor } from "./listener.ts";
import type { LogFields, Logger } from "./logger.ts";
import type { LookupShare } from "./lookup-share.ts";
import { type PipeResult, type PipeTimeouts, SocketPipe, type SocketPipeOptions } from "./socket-pipe.ts";

export interface ListeningTunnelOptions {
  readonly listen: Endpoint;
  /** What each stream says besides its visitor: `target` in CONNECT mode, `tunnelId` in LISTEN mode. */
  readonly request: Pick<OpenRequest, "target" | "tunnelId">;
  /** Where streams are opened; can be set later. Without one every visitor is reset. */
  readonly link?: Link;
  /** Visitors who may be here at once; further ones are reset. Each costs a descriptor and memory, also while it waits. */
  readonly maxVisitors: number;
  /** Where the listener and its visitors count; default: they are not bounded. */
  readonly sockets?: RoomShare;
  /** Whose question the name to listen on is; default: nobody's. */
  readonly lookupShare?: LookupShare;
  readonly timeouts?: PipeTimeouts;
  readonly logger: Logger;
}

export interface ListeningTunnelStats {
  /** All who ever came. */
  readonly visitors: number;
  /** Visitors who are connected now. */
  readonly open: number;
  /** Visitors whose connection ended by a reset, theirs or the other side's, or who found no link. */
  readonly failed: number;
  /** Bytes read from visitors and written to them by connections that are over. */
  readonly bytesFromVisitors: number;
  readonly bytesToVisitors: number;
}

/**
 * The end of a tunnel that listens: each visitor becomes a stream of the link. While the link is detached visitors wait
 * in it; while there is no link, or it is over, they are reset at once, so that none hangs. The listener belongs to the
 * tunnel; connections belong to their streams and outlive `close`.
 */
export class ListeningTunnel {
  readonly #options: ListeningTunnelOptions;
  readonly #listener: Listener;
  readonly #pipeOptions: SocketPipeOptions;
  #link: Link | undefined;
  #visitors = 0;
  #open = 0;
  #failed = 0;
  #bytesFromVisitors = 0;
  #bytesToVisitors = 0;

  private constructor(options: ListeningTunnelOptions, listener: Listener) {
    this.#options = options;
    this.#listener = listener;
    this.#link = options.link;
    const { logger, timeouts = {} } = options;
    this.#pipeOptions = { logger, timeouts, onDone: (result, about) => this.#ended(result, about) };
  }

  /** Resolves when visitors can come. @throws CulvertError with the listener's code, `address_in_use` for one. */
  static async listen(options: ListeningTunnelOptions): Promise<ListeningTunnel> {
    let tunnel: ListeningTunnel | undefined;
    const { listen, maxVisitors, sockets, logger, lookupShare } = options;
    const onVisitor = (visitor: Visitor): void => {
      // The first visitor may come before the promise is taken up.
      if (tunnel === undefined) resetSocket(visitor.socket);
      else tunnel.#receive(visitor);
    };
    const listener = await Listener.listen(listen, onVisitor, { maxVisitors, sockets, logger, lookupShare });
    tunnel = new ListeningTunnel(options, listener);
    return tunnel;
  }

  /** Where it really listens: with port 0 the port that was given. */
  get address(): Endpoint {
    return this.#listener.address;
  }

  /** Opens streams on another link from now on, or on none. */
  setLink(link: Link | undefined): void {
    this.#link = link;
  }

  /** Stops listening; the address is free when it resolves. Connections go on. */
  async close(): Promise<void> {
    await this.#listener.close();
  }

  stats(): ListeningTunnelStats {
    return {
      visitors: this.#visitors,
      open: this.#open,
      failed: this.#failed,
      bytesFromVisitors: this.#bytesFromVisitors,
      bytesToVisitors: this.#bytesToVisitors,
    };
  }

  #receive(visitor: Visitor): void {
    const { socket, address } = visitor;
    const { logger, request } = this.#options;
    const about = { visitor: address };
    this.#visitors += 1;
    const pipe = new SocketPipe(socket, this.#pipeOptions, about);
    try {
      if (this.#link === undefined)
        throw new CulvertError("not_running", "there is no session with the server yet");
      const stream = this.#link.openStream({ kind: "tcp", ...request, visitor: address }, pipe);
      this.#open += 1;
      logger.debug({ ...about, stream: stream.id }, "visitor connected");
      pipe.start(stream);
    } catch (error) {
      if (!(error instanceof CulvertError)) throw error;
      this.#failed += 1;
      // Whoever sees this wonders why: the address answers, so it is not the address.
      const { code, message: reason } = error;
      if (this.#link === undefined) logger.warn({ ...about, code, reason }, "visitor reset");
      else logger.info({ ...about, code }, "visitor reset");
      resetSocket(socket);
    }
  }

  #ended({ code, bytesIn, bytesOut }: PipeResult, about: LogFields | undefined): void {
    this.#open -= 1;
    this.#bytesFromVisitors += bytesIn;
    this.#bytesToVisitors += bytesOut;
    if (code === undefined) return;
    this.#failed += 1;
    // Connections are reset every day; any other code says why a visitor was not served, which nobody else here knows.
    const level = code === "connection_reset" ? "debug" : "info";
    this.#options.logger[level]({ ...about, code, bytesIn, bytesOut }, "visitor reset");
  }
}
