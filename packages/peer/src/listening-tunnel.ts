import { CulvertError, type Endpoint, type ErrorCode, type OpenRequest } from "@culvert/protocol";
import { resetSocket } from "./carried-socket.ts";
import type { RoomShare } from "./fair-room.ts";
import type { Link } from "./link.ts";
import { Listener, type Visitor } from "./listener.ts";
import type { Logger } from "./logger.ts";
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
  /** Judges the address that is bound, see {@link ListenerOptions.beforeBind}. */
  readonly beforeBind?: ((address: string) => void) | undefined;
  /** Asked for each visitor: why it is reset, or undefined. */
  readonly faultOfVisitor?: (() => ErrorCode | undefined) | undefined;
  readonly watch?: VisitorWatch | undefined;
  readonly logger: Logger;
}

/** Who is told of each visitor's connection. One for all of them: it keeps nothing of an idle one. */
export interface VisitorWatch {
  onVisitor(stream: number, visitor: string): void;
  onRefused(visitor: string, code: ErrorCode): void;
  /** All of it is over, after `onVisitor`. */
  onClosed(stream: number, result: PipeResult): void;
}

/** What a log line says of a visitor. */
type AboutVisitor = {
  readonly visitor: string;
  /** Set when it has one. */
  stream: number | undefined;
};

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
    this.#pipeOptions = {
      logger,
      timeouts,
      onDone: (result, about) => this.#ended(result, about as AboutVisitor),
    };
  }

  /** Resolves when visitors can come. @throws CulvertError with the listener's code, `address_in_use` for one. */
  static async listen(options: ListeningTunnelOptions): Promise<ListeningTunnel> {
    let tunnel: ListeningTunnel | undefined;
    const { listen, maxVisitors, sockets, logger, lookupShare, beforeBind } = options;
    const onVisitor = (visitor: Visitor): void => {
      // The first visitor may come before the promise is taken up.
      if (tunnel === undefined) resetSocket(visitor.socket);
      else tunnel.#receive(visitor);
    };
    const listener = await Listener.listen(listen, onVisitor, {
      maxVisitors,
      sockets,
      logger,
      lookupShare,
      beforeBind,
    });
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
    const { logger, request, faultOfVisitor, watch } = this.#options;
    const about: AboutVisitor = { visitor: address, stream: undefined };
    this.#visitors += 1;
    const pipe = new SocketPipe(socket, this.#pipeOptions, about);
    try {
      const fault = faultOfVisitor?.();
      if (fault !== undefined) throw new CulvertError(fault);
      if (this.#link === undefined)
        throw new CulvertError("not_running", "there is no session with the server yet");
      const stream = this.#link.openStream({ kind: "tcp", ...request, visitor: address }, pipe);
      this.#open += 1;
      about.stream = stream.id;
      logger.debug({ ...about }, "visitor connected");
      watch?.onVisitor(stream.id, address);
      pipe.start(stream);
    } catch (error) {
      if (!(error instanceof CulvertError)) throw error;
      this.#failed += 1;
      // Whoever sees this wonders why: the address answers, so it is not the address.
      const { code, message: reason } = error;
      if (this.#link === undefined) logger.warn({ ...about, code, reason }, "visitor reset");
      else logger.info({ ...about, code }, "visitor reset");
      resetSocket(socket);
      watch?.onRefused(address, code);
    }
  }

  #ended(result: PipeResult, about: AboutVisitor): void {
    const { code, bytesIn, bytesOut } = result;
    this.#open -= 1;
    this.#bytesFromVisitors += bytesIn;
    this.#bytesToVisitors += bytesOut;
    if (about.stream !== undefined) this.#options.watch?.onClosed(about.stream, result);
    if (code === undefined) return;
    this.#failed += 1;
    // Connections are reset every day; any other code says why a visitor was not served, which nobody else here knows.
    const level = code === "connection_reset" ? "debug" : "info";
    this.#options.logger[level]({ ...about, code, bytesIn, bytesOut }, "visitor reset");
  }
}
