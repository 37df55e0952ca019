import type { Socket } from "node:net";
import { connected, oneByte } from "./visitor.ts";

const OPENED_AT_ONCE = 32;

/** Opens so many connections to an echo, each used once, and adds them to `sockets`. */
export async function open(
  port: number,
  count: number,
  sockets: Socket[],
  signal: AbortSignal,
): Promise<void> {
  const last = sockets.length + count;
  const openSome = async (): Promise<void> => {
    while (sockets.length < last) {
      const at = sockets.length;
      sockets.length = at + 1; // taken, before anybody else counts
      const socket = await connected(port, signal);
      sockets[at] = socket;
      await oneByte(socket);
    }
  };
  await Promise.all(Array.from({ length: OPENED_AT_ONCE }, openSome));
}

/** Runs with connections that are closed afterwards, whatever happens. */
export async function withSockets<T>(use: (sockets: Socket[]) => Promise<T>): Promise<T> {
  const sockets: Socket[] = [];
  try {
    return await use(sockets);
  } finally {
    for (const socket of sockets) socket?.destroy();
  }
}
