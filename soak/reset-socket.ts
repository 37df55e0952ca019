import type { Socket } from "node:net";

/** Closes a socket with a RST, in any state. */
export function resetSocket(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.pending) socket.destroy();
  else if (socket.writableEnded && !socket.writableFinished && socket.writableLength === 0) {
    // The kernel is being told of our FIN in this turn of the loop, and libuv refuses to reset meanwhile.
    socket.once("finish", () => resetSocket(socket));
  } else socket.resetAndDestroy();
}
