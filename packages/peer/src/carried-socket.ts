import type { Socket } from "node:net";

/** How every carried socket is set up, those that were accepted and those that were dialed. */
export const CARRIED_SOCKET = {
  /** Otherwise Node ends our direction when the other one ends, and the late half of a half-closed talk is lost. */
  allowHalfOpen: true,
  noDelay: true,
  /** Finds a host that vanished while its connection was idle: after 30 s, then ten probes a second apart. */
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
  /**
   * Nothing is read ahead: a paused socket holds one chunk. The default of 64 KiB counts bytes only, and bytes that arrive
   * one by one are 65,536 objects. Reading is as fast, since a flowing socket does not pass through that buffer.
   */
  highWaterMark: 1,
} as const;

/** The 'error' listener of a socket that nobody has taken over yet: its 'close' will tell. */
export function ignoreError(): void {}

/**
 * Closes `socket` with a RST (a Unix socket, which knows none, without ceremony). What was not yet given to the kernel is
 * dropped, pending writes fail. Safe in any state, and never throws.
 */
export function resetSocket(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.pending) {
    socket.destroy(); // not connected: there is nobody to be told
    return;
  }
  if (socket.writableEnded && !socket.writableFinished && socket.writableLength === 0) {
    // The kernel is being told of our FIN in this turn of the loop. libuv refuses to reset meanwhile (EINVAL), and Node
    // then leaks the descriptor.
    socket.once("finish", () => resetSocket(socket));
    return;
  }
  try {
    socket.resetAndDestroy();
  } catch {
    socket.destroy(); // ERR_INVALID_HANDLE_TYPE: not TCP
  }
}
