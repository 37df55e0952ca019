import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** A reader that takes nothing for this long will not get what is still under way. */
const DELIVERY_WAIT_MS = 1_000;

/**
 * Resolves when the other end's kernel has acknowledged every byte that was written to the kernel here, because a reset
 * throws away the rest. Gives up when the reader does not read, when the socket is gone, and where the kernel does not
 * tell (anywhere but on Linux).
 */
export async function whenDelivered(socket: Socket): Promise<void> {
  const deadline = performance.now() + DELIVERY_WAIT_MS;
  while (!socket.destroyed && performance.now() < deadline) {
    const bytes = await sendQueueBytes(socket).catch(() => 0);
    if (bytes === 0) return;
    await sleep(1, undefined, { ref: false });
  }
}

/** Bytes that the kernel holds because they are not yet acknowledged: the column tx_queue of /proc/net/tcp (proc(5)). */
async function sendQueueBytes(socket: Socket): Promise<number> {
  const table = await readFile(socket.remoteFamily === "IPv6" ? "/proc/net/tcp6" : "/proc/net/tcp", "latin1");
  const local = `:${hexPort(socket.localPort)}`;
  const remote = `:${hexPort(socket.remotePort)}`;
  for (const line of table.split("\n")) {
    const [, localAddress, remoteAddress, , queues] = line.trim().split(/\s+/, 5);
    if (localAddress?.endsWith(local) && remoteAddress?.endsWith(remote)) {
      return Number.parseInt(queues ?? "0", 16);
    }
  }
  return 0;
}

function hexPort(port: number | undefined): string {
  return (port ?? 0).toString(16).toUpperCase().padStart(4, "0");
}
