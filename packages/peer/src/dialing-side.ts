import type { LookupFunction, Socket } from "node:net";
import {
  CulvertError,
  type Endpoint,
  type ErrorCode,
  formatEndpoint,
  type IncomingStream,
} from "@culvert/protocol";
import { resetSocket } from "./carried-socket.ts";
import { type DialOptions, dial } from "./dialer.ts";
import type { RoomShare } from "./fair-room.ts";
import type { LogFields, Logger } from "./logger.ts";
import { LookupShare } from "./lookup-share.ts";
import { type PipeResult, type PipeTimeouts, SocketPipe, type SocketPipeOptions } from "./socket-pipe.ts";

/** What an incoming stream gets. */
export type DialDecision =
  | {
      readonly kind: "dial";
      readonly endpoint: Endpoint;
      /** Judges each address before it is dialed, see {@link DialOptions.faultOf}. */
      readonly faultOf?: DialOptions["faultOf"];
    }
  /** `reason` is for the log of this side. */
  | { readonly kind: "refuse"; readonly code: ErrorCode; readonly reason?: string };

/** Who is told of each connection's begin and end. One for all of them: it keeps nothing of an idle one. */
export interface DialWatch {
  /** The target accepted; `address` is the one that was dialed, undefined for a Unix socket. */
  onConnected(stream: number, decision: DialDecision, address: string | undefined): void;
  onRefused(
    incoming: IncomingStream,
    decision: DialDecision,
    code: ErrorCode,
    reason: string | undefined,
  ): void;
  /** All of it is over, after `onConnected`. */
  onClosed(stream: number, result: PipeResult): void;
}

export interface DialingSideOptions {
  /** How long a target may take to accept. */
  readonly dialTimeoutMs: number;
  /** Resolves the names of targets; default `dns.lookup`. */
  readonly lookup?: LookupFunction | undefined;
  /** Whose name lookups these are; default: this side's own. */
  readonly lookupShare?: LookupShare;
  /** Where dials count; default: they are as many as the streams that wait for them. */
  readonly room?: RoomShare;
  /** Where sockets count, from the dial to their close; default: they are not bounded. */
  readonly sockets?: RoomShare;
  readonly timeouts?: PipeTimeouts;
  readonly watch?: DialWatch | undefined;
  readonly logger: Logger;
}

export interface DialingStats {
  /** Dials under way. */
  readonly dialing: number;
  /** Connections that are carried now. */
  readonly open: number;
  /** All that were ever connected. */
  readonly connected: number;
  /** Streams that were refused: by the decision, or because the dial failed. */
  readonly refused: number;
  /** Bytes read from targets and written to them by connections that are over. */
  readonly bytesFromTargets: number;
  readonly bytesToTargets: number;
}

/**
 * The end of a tunnel that dials: answers incoming streams by connecting to a target and piping. It owns the dials and
 * the sockets; a connection, once carried, ends with its stream.
 */
export class DialingSide {
  readonly #options: DialingSideOptions;
  readonly #lookupShare: LookupShare;
  readonly #pipeOptions: SocketPipeOptions;
  /** One for all sockets: a closure of each would keep its whole dial alive. */
  readonly #onSocketClose = (): void => this.#options.sockets?.leave();
  readonly #dials = new Map<AbortController, DialDecision>();
  #open = 0;
  #connected = 0;
  #refused = 0;
  #bytesFromTargets = 0;
  #bytesToTargets = 0;

  constructor(options: DialingSideOptions) {
    this.#options = options;
    this.#lookupShare = options.lookupShare ?? new LookupShare();
    const { logger, timeouts = {} } = options;
    this.#pipeOptions = { logger, timeouts, onDone: (result, about) => this.#ended(result, about) };
  }

  stats(): DialingStats {
    return {
      dialing: this.#dials.size,
      open: this.#open,
      connected: this.#connected,
      refused: this.#refused,
      bytesFromTargets: this.#bytesFromTargets,
      bytesToTargets: this.#bytesToTargets,
    };
  }

  /** Carries out a decision on an incoming stream; the stream is answered, now or when the dial is over. */
  answer(incoming: IncomingStream, decision: DialDecision): void {
    if (decision.kind === "refuse") this.#refuse(incoming, decision, decision.code, decision.reason);
    else if (this.#options.room?.enter() === false)
      this.#refuse(incoming, decision, "resource_exhausted", "too many dials are under way");
    else if (this.#options.sockets?.enter() === false) {
      this.#options.room?.leave();
      this.#refuse(incoming, decision, "resource_exhausted", "too many sockets are open");
    } else void this.#dial(incoming, decision);
  }

  /** Gives up every dial under way; connections that are carried go on. */
  cancelDials(): void {
    for (const dialing of this.#dials.keys()) dialing.abort();
  }

  /** Gives up the dials under way that are not allowed any more; connections that are carried go on. */
  judgeDials(faultOf: (decision: DialDecision) => CulvertError | undefined): void {
    for (const [dialing, decision] of this.#dials) {
      const fault = faultOf(decision);
      if (fault !== undefined) dialing.abort(fault);
    }
  }

  async #dial(incoming: IncomingStream, decision: DialDecision & { kind: "dial" }): Promise<void> {
    const { endpoint, faultOf } = decision;
    const dialing = new AbortController();
    this.#dials.set(dialing, decision);
    incoming.onCancelled = () => dialing.abort();
    let socket: Socket;
    let address: string | undefined;
    let isOver = false;
    let hasFailed = false;
    // Not when the outcome is known: who opens and resets in a row would have more descriptors than there are places.
    const leaveSockets = (): void => {
      if (isOver && hasFailed) this.#options.sockets?.leave();
    };
    try {
      socket = await dial(endpoint, {
        timeoutMs: this.#options.dialTimeoutMs,
        signal: dialing.signal,
        lookup: this.#options.lookup,
        lookupShare: this.#lookupShare,
        faultOf,
        onConnected: (dialed) => {
          address = dialed;
        },
        onOver: () => {
          isOver = true;
          this.#options.room?.leave();
          leaveSockets();
        },
      });
    } catch (error) {
      hasFailed = true;
      leaveSockets();
      const code = error instanceof CulvertError ? error.code : "dial_failed";
      this.#refuse(incoming, decision, code, causeOf(error));
      return;
    } finally {
      this.#dials.delete(dialing);
    }
    socket.on("close", this.#onSocketClose);
    // Cancelled while the connection was being handed over: nobody would ever end it.
    if (dialing.signal.aborted) {
      resetSocket(socket);
      const reason: unknown = dialing.signal.reason;
      if (reason instanceof CulvertError) this.#refuse(incoming, decision, reason.code, reason.message);
    } else this.#carry(incoming, decision, socket, address);
  }

  #carry(
    incoming: IncomingStream,
    decision: DialDecision & { kind: "dial" },
    socket: Socket,
    address: string | undefined,
  ): void {
    this.#open += 1;
    this.#connected += 1;
    const about = { stream: incoming.id, target: formatEndpoint(decision.endpoint) };
    const pipe = new SocketPipe(socket, this.#pipeOptions, about);
    // Before anybody is told: who ends the session because of this connection ends it, too.
    const stream = incoming.accept(pipe);
    this.#options.watch?.onConnected(incoming.id, decision, address);
    this.#options.logger.debug({ ...about, visitor: incoming.request.visitor }, "target connected");
    pipe.start(stream);
  }

  #ended(result: PipeResult, about: LogFields | undefined): void {
    this.#open -= 1;
    this.#bytesFromTargets += result.bytesIn;
    this.#bytesToTargets += result.bytesOut;
    this.#options.watch?.onClosed((about as { stream: number }).stream, result);
  }

  #refuse(
    incoming: IncomingStream,
    decision: DialDecision,
    code: ErrorCode,
    cause: string | undefined,
  ): void {
    this.#refused += 1;
    incoming.refuse(code);
    this.#options.watch?.onRefused(incoming, decision, code, cause);
    const target = decision.kind === "dial" ? formatEndpoint(decision.endpoint) : incoming.request.target;
    const fields = { stream: incoming.id, code, visitor: incoming.request.visitor, target, cause };
    if (code === "cancelled") this.#options.logger.debug(fields, "stream given up by its opener");
    else this.#options.logger.info(fields, "stream refused");
  }
}

function causeOf(error: unknown): string | undefined {
  return error instanceof Error ? error.message : undefined;
}
