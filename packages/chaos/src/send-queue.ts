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
  // Searched, not split: where many connections rest in TIME_WAIT the table has megabytes.
  const [local, remote] = [hexPort(socket.localPort), hexPort(socket.remotePort)];
  const queue = new RegExp(`:${local} [0-9A-F]+:${remote} [0-9A-F]{2} ([0-9A-F]+):`).exec(table)?.[1];
  return Number.parseInt(queue ?? "0", 16);
}

function hexPort(port: number | undefined): string {
  return (port ?? 0).toString(16).toUpperCase().padStart(4, "0");
}
