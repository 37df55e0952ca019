import type { Socket } from "node:net";
import { resetSocket } from "./carried-socket.ts";
import { type Lingerer, type LingerRoom, lingerRoom } from "./linger-room.ts";

export interface LingeringCloseOptions {
  /** Shall it be a RST in the end? */
  readonly reset: boolean;
  /** Memory that waits for the socket, of which {@link LingeringClose.holds} tells how it shrinks. Default: what is written. */
  readonly heldBytes?: number;
  readonly room?: LingerRoom;
}

/**
 * Closes a socket whose stream is over although all that was meant for it has arrived: it still gets everything, and then
 * the end. Whoever has the rest writes it and calls `end()`; the reading side is ours from now on. It is bounded in time,
 * and by the room in memory: whoever reads too slowly, or not at all, is reset.
 *
 * What the other side sends meanwhile has nowhere to go and is thrown away, not left unread: closing a socket with unread
 * bytes makes the kernel send a RST, which overtakes what it has not delivered (RFC 1122 section 4.2.2.13). If anything had
 * to be thrown away, or if `reset`, the close is a RST in the end, so that nobody takes it for a success.
 */
export class LingeringClose implements Lingerer {
  readonly #socket: Socket;
  readonly #room: LingerRoom;
  readonly #timers: NodeJS.Timeout[] = [];
  #mustReset: boolean;

  constructor(socket: Socket, options: LingeringCloseOptions) {
    this.#socket = socket;
    this.#mustReset = options.reset;
    this.#room = options.room ?? lingerRoom;
    // Not when the last byte is written: a socket that is being closed has its descriptor still.
    socket.once("close", () => this.#left());
    if (socket.writableFinished) this.#discardThenClose();
    else {
      // Reading is paused, so only progress of the writes counts as activity.
      socket.pause();
      socket.setTimeout(STALL_MS, () => resetSocket(socket));
      this.#after(MOST_MS, () => resetSocket(socket));
      socket.once("finish", () => this.#discardThenClose());
    }
    this.#room.enter(this, options.heldBytes ?? socket.writableLength);
  }

  /** The memory that still waits for the socket, whenever it became less. */
  holds(bytes: number): void {
    this.#room.shrink(this, bytes);
  }

  giveUp(): void {
    if (this.#socket.writableFinished) this.#close();
    else resetSocket(this.#socket);
  }

  #discardThenClose(): void {
    const socket = this.#socket;
    this.holds(0);
    socket.setTimeout(0);
    socket.on("data", () => {
      this.#mustReset = true;
    });
    socket.resume();
    this.#after(LINGER_MS, () => this.#close());
  }

  #close(): void {
    if (this.#mustReset) resetSocket(this.#socket);
    else this.#socket.destroy();
  }

  #after(ms: number, run: () => void): void {
    this.#timers.push(setTimeout(run, ms));
  }

  #left(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#room.leave(this);
  }
}

/** For the other side to read what the kernel holds; it has no way to tell us. */
const LINGER_MS = 500;
/** Without progress for this long nobody is going to read the rest. */
const STALL_MS = 30_000;
/** A byte now and then is progress, and must not hold a descriptor for ever. */
const MOST_MS = 120_000;
