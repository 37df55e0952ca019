import type { Socket } from "node:net";
import { resetSocket } from "./carried-socket.ts";

/**
 * Closes a socket whose stream is over although all that was meant for it has arrived: it still gets everything, and then
 * the end. Everything must have been written to the socket, with `end()` called, and its reading side is ours from now on.
 *
 * What the other side sends meanwhile has nowhere to go and is thrown away, not left unread: closing a socket with unread
 * bytes makes the kernel send a RST, which overtakes what it has not delivered (RFC 1122 section 4.2.2.13). If anything had
 * to be thrown away, or if `reset`, the close is a RST in the end, so that nobody takes it for a success.
 */
export function lingeringClose(socket: Socket, reset: boolean): void {
  if (socket.writableFinished) discardThenClose(socket, reset);
  else {
    // Reading is paused, so only progress of the writes counts as activity.
    socket.pause();
    socket.setTimeout(STALL_MS, () => resetSocket(socket));
    socket.once("finish", () => discardThenClose(socket, reset));
  }
}

function discardThenClose(socket: Socket, reset: boolean): void {
  let mustReset = reset;
  socket.setTimeout(0);
  socket.on("data", () => {
    mustReset = true;
  });
  socket.resume();
  const timer = setTimeout(() => {
    if (mustReset) resetSocket(socket);
    else socket.destroy();
  }, LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
}

/** For the other side to read what the kernel holds; it has no way to tell us. */
const LINGER_MS = 500;
/** Without progress for this long nobody is going to read the rest. */
const STALL_MS = 30_000;
