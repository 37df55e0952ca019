import { once } from "node:events";
import type { Socket } from "node:net";
import { connected } from "./iperf.ts";
import { quantile } from "./statistics.ts";

/** Round trip of one byte on an open connection, microseconds. */
export async function roundTrips(
  port: number,
  count: number,
): Promise<{ readonly p50: number; readonly p99: number }> {
  const socket = await connected(port);
  const times: number[] = [];
  for (let i = 0; i < count; i += 1) times.push(await oneByte(socket));
  socket.destroy();
  times.sort((a, b) => a - b);
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

/**
 * New connections a second, one at a time: connect, one byte there and back, close. As with close(2) the next one begins at
 * once; with `untilClosed` only when the other side has closed too, which is a round trip more.
 */
export async function connectionRate(port: number, count: number, untilClosed: boolean): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < count; i += 1) {
    const socket = await connected(port);
    await oneByte(socket);
    socket.resume();
    if (untilClosed) {
      const closed = once(socket, "close");
      socket.end();
      await closed;
    } else socket.destroySoon();
  }
  return count / ((performance.now() - start) / 1000);
}

function oneByte(socket: Socket): Promise<number> {
  const start = performance.now();
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("data", () => {
      socket.off("error", reject);
      resolve((performance.now() - start) * 1000);
    });
    socket.write("x");
  });
}
