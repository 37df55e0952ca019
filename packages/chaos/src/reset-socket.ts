import type { Socket } from "node:net";

/** Closes a socket with a RST, in any state. */
export function resetSocket(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.connecting || socket.pending) {
    // There is nobody to reset yet, and resetAndDestroy would first wait for an answer.
    socket.destroy();
  } else if (socket.writableEnded && !socket.writableFinished && socket.writableLength === 0) {
    // The kernel is being told of our FIN in this turn of the loop. libuv refuses to reset meanwhile (EINVAL), and Node
    // then leaks the descriptor.
    socket.once("finish", () => resetSocket(socket));
  } else socket.resetAndDestroy();
}
