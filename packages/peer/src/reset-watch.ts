import { writeSync } from "node:fs";
import type { Socket } from "node:net";

/** Called on the socket, as a listener of its 'error' is. */
type OnDead<T extends Socket> = (this: T, error: Error) => void;

/**
 * Sees that a connection is dead although nobody reads from it. A socket that is paused for back pressure, or whose end
 * was read, is not polled: Node would find out when it reads or writes next, which may be never. So once a second the
 * kernel is asked, by a write of no bytes, which sends nothing and fails if the connection is gone.
 *
 * Where the platform does not give the descriptor (Windows), nothing is seen early; reading on shows the reset then.
 */
class ResetWatch {
  readonly #watched = new Map<Socket, OnDead<never>>();
  #timer: NodeJS.Timeout | undefined;

  /** Calls `onDead` once when the connection turns out to be dead; the caller must then reset the socket at once. */
  watch<T extends Socket>(socket: T, onDead: OnDead<T>): void {
    this.#watched.set(socket, onDead);
    // Not what keeps a process alive: the sockets do.
    this.#timer ??= setInterval(() => this.#ask(), ASK_MS).unref();
  }

  unwatch(socket: Socket): void {
    this.#watched.delete(socket);
    if (this.#watched.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #ask(): void {
    for (const [socket, onDead] of this.#watched) {
      const error = deathOf(socket);
      if (error === undefined) continue;
      this.unwatch(socket);
      Reflect.apply(onDead, socket, [error]);
    }
  }
}

/** One for all sockets: a timer a socket would cost more than what it finds. */
export const resetWatch: ResetWatch = new ResetWatch();

const ASK_MS = 1000;
const NOTHING = new Uint8Array(0);

/**
 * Asking takes the error away from the kernel: a later read would report what is left of the data and then a clean end. So
 * an answer other than undefined must not be ignored.
 */
function deathOf(socket: Socket): Error | undefined {
  const descriptor = (socket as { _handle?: { fd?: number } | null })._handle?.fd ?? -1;
  if (descriptor < 0) return undefined;
  try {
    writeSync(descriptor, NOTHING);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EAGAIN") return undefined;
    if (code !== "EPIPE") return error as Error;
    // No FIN was read, so one may wait in the kernel behind data, all of which is still ours to read: Linux says EPIPE
    // instead of ECONNRESET for a RST behind a FIN. And after our own FIN it says EPIPE to any write.
    return socket.readableEnded && !socket.writableEnded ? (error as Error) : undefined;
  }
}
