import { Socket } from "node:net";
import type { CutHow, Direction, ResolvedFault } from "./fault.ts";
import { Lane, type LaneInfo } from "./lane.ts";
import type { Random } from "./random.ts";
import { resetSocket } from "./reset-socket.ts";

/**
 * What a socket buffers in this process in each direction: large enough that a fast transfer does not stop at every
 * read, small enough that a stall is felt by the sender at once.
 */
export const SOCKET_BUFFER_BYTES: number = 256 * 1024;

/** A target that does not answer within this time counts as one that refused. */
const DIAL_TIMEOUT_MS = 10_000;

/** After a cut with FIN the other ends have this long to say FIN too. */
const LINGER_MS = 2_000;

/**
 * "held": accepted, the target not dialed (see ChaosProxy.acceptAndStall). "dialing": waits for the target.
 * "open": carries. "cut": was cut, sockets are closing. "closed": no socket is left.
 */
export type ConnectionState = "held" | "dialing" | "open" | "cut" | "closed";

/** A snapshot of one connection. */
export interface ConnectionInfo {
  /** Counts up from 1 in the order of arrival. */
  readonly id: number;
  readonly state: ConnectionState;
  /** When it was accepted, ms since the epoch. */
  readonly startedAt: number;
  readonly up: LaneInfo;
  readonly down: LaneInfo;
}

export interface ConnectionEvents {
  onOpen(): void;
  /** The target could not be reached; the visitor gets a RST. */
  onDialFailed(error: Error): void;
  /** `cause`: which of the proxy's methods did it. */
  onCut(how: CutHow, cause: "cut" | "cutAfter"): void;
  /** Both sockets are gone. Called once, last. */
  onClosed(): void;
}

export interface ConnectionOptions {
  readonly id: number;
  /** The accepted socket, paused, half-open allowed. The connection owns it. */
  readonly near: Socket;
  readonly target: { readonly host: string; readonly port: number };
  readonly faults: Readonly<Record<Direction, ResolvedFault>>;
  readonly random: Random;
  readonly events: ConnectionEvents;
}

/** One accepted socket, the socket dialed for it, and the two lanes between them. Owns all of them. */
export class ChaosConnection {
  readonly id: number;
  readonly startedAt: number = Date.now();
  /** Resolves when both sockets are gone. */
  readonly closed: Promise<void>;
  readonly #near: Socket;
  readonly #far: Socket;
  readonly #lanes: Readonly<Record<Direction, Lane>>;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #events: ConnectionEvents;
  #state: ConnectionState = "held";
  #resolveClosed: () => void = ignore;
  /** The dial's deadline, then the one of a cut with FIN. */
  #deadline: NodeJS.Timeout | undefined;

  constructor(options: ConnectionOptions) {
    this.id = options.id;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#near = options.near;
    this.#target = options.target;
    this.#events = options.events;
    const socketOptions = { allowHalfOpen: true, highWaterMark: SOCKET_BUFFER_BYTES };
    this.#far = new Socket(socketOptions);
    this.#lanes = {
      up: this.#lane(this.#near, this.#far, options.faults.up, options.random.derive(0)),
      down: this.#lane(this.#far, this.#near, options.faults.down, options.random.derive(1)),
    };
    this.#near.on("error", ignore);
    this.#near.on("close", () => this.#onSocketClosed(this.#near, "up", "down"));
    this.#far.on("error", (error) => this.#onFarError(error));
    this.#far.on("close", () => this.#onSocketClosed(this.#far, "down", "up"));
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get info(): ConnectionInfo {
    return {
      id: this.id,
      state: this.#state,
      startedAt: this.startedAt,
      up: this.#lanes.up.info,
      down: this.#lanes.down.info,
    };
  }

  /** True if a black hole swallowed something of it: it can never be whole again. */
  get isBroken(): boolean {
    return this.#lanes.up.isBroken || this.#lanes.down.isBroken;
  }

  /** Dials the target; when it answers the lanes start. Nothing happens if that was done already. */
  dial(): void {
    if (this.#state !== "held") return;
    this.#state = "dialing";
    this.#far.setNoDelay(true);
    this.#far.connect(this.#target, () => this.#onConnected());
    this.#arm(DIAL_TIMEOUT_MS, () => this.#far.destroy(new Error(`no answer within ${DIAL_TIMEOUT_MS} ms`)));
  }

  setFault(direction: Direction, fault: ResolvedFault): void {
    if (this.#state !== "cut" && this.#state !== "closed") this.#lanes[direction].setFault(fault);
  }

  /** Cuts it once `bytes` more were forwarded in `direction`. */
  cutAfter(direction: Direction, bytes: number, how: CutHow): void {
    this.#lanes[direction].cutAfter(bytes, how);
  }

  /** Takes back every {@link cutAfter} that did not happen yet. */
  cancelCut(): void {
    this.#lanes.up.cancelCut();
    this.#lanes.down.cancelCut();
  }

  /** Cuts it now. Returns false if it is cut or closed already. */
  cut(how: CutHow, cause: "cut" | "cutAfter" = "cut"): boolean {
    const before = this.#state;
    if (before === "cut" || before === "closed") return false;
    this.#state = "cut";
    this.#lanes.up.release();
    this.#lanes.down.release();
    if (how === "fin") {
      this.#near.end();
      if (before === "open") this.#far.end();
      else this.#far.destroy();
      this.#arm(LINGER_MS, () => this.destroy());
    } else {
      resetSocket(this.#near);
      resetSocket(this.#far);
    }
    this.#events.onCut(how, cause);
    return true;
  }

  /** Closes both sockets, whatever they hold. */
  destroy(): void {
    this.#near.destroy();
    this.#far.destroy();
  }

  #lane(source: Socket, sink: Socket, fault: ResolvedFault, random: Random): Lane {
    return new Lane({
      source,
      sink,
      fault,
      random,
      onCut: (how) => this.cut(how, "cutAfter"),
      onOver: () => this.#settle(),
    });
  }

  #onConnected(): void {
    clearTimeout(this.#deadline);
    if (this.#state !== "dialing") return;
    this.#state = "open";
    // Told first: a cut after no byte at all comes from the lanes' start.
    this.#events.onOpen();
    this.#lanes.up.start();
    this.#lanes.down.start();
  }

  #onFarError(error: Error): void {
    if (this.#state !== "dialing") return;
    this.#events.onDialFailed(error);
    resetSocket(this.#near);
  }

  #onSocketClosed(socket: Socket, from: Direction, to: Direction): void {
    if (this.#near.closed && this.#far.closed) {
      this.#finish();
      return;
    }
    // Closed in good order: its end was read, and all that it had to say was written.
    const inOrder = socket.readableEnded && socket.writableFinished && !socket.errored;
    if (!inOrder && this.#state === "open") {
      this.#lanes[from].sourceEnded("rst");
      this.#lanes[to].sinkGone();
    }
    this.#settle();
  }

  /** Both directions have ended, but a side was never told: nobody else would close its socket. */
  #settle(): void {
    const { up, down } = this.#lanes;
    if (this.#state !== "open" || !up.isOver || !down.isOver || !(up.isBroken || down.isBroken)) return;
    resetSocket(this.#near);
    resetSocket(this.#far);
  }

  #finish(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    clearTimeout(this.#deadline);
    this.#lanes.up.close();
    this.#lanes.down.close();
    this.#events.onClosed();
    this.#resolveClosed();
  }

  #arm(ms: number, run: () => void): void {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(run, ms).unref();
  }
}

/** Whatever was wrong, 'close' follows, and that is where it is dealt with. */
function ignore(): void {}
