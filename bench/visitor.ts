import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** A connection to a port of loopback with Nagle's algorithm off. Aborting destroys it, then and later. */
export async function connected(port: number, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const socket = connect({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true });
  const abort = (): void => {
    socket.destroy(new Error(reasonOf(signal)));
  };
  signal.addEventListener("abort", abort, { once: true });
  socket.once("close", () => signal.removeEventListener("abort", abort));
  await once(socket, "connect");
  socket.on("error", () => undefined); // whoever waits for bytes hears of it by 'close'
  return socket;
}

/** One byte to an echo and back: microseconds. @throws Error when the connection ends instead. */
export function oneByte(socket: Socket): Promise<number> {
  const start = performance.now();
  return new Promise((resolve, reject) => {
    const over = (): void => reject(socket.errored ?? new Error("the connection was closed"));
    if (socket.destroyed) {
      over();
      return;
    }
    socket.once("close", over);
    socket.once("end", over);
    socket.once("data", () => {
      socket.off("close", over);
      socket.off("end", over);
      resolve((performance.now() - start) * 1000);
    });
    socket.write("x");
  });
}

/** Asks the serving target for `bytes` bytes; resolves when all have come. */
export function request(
  socket: Socket,
  bytes: number,
): { readonly first: Promise<number>; readonly all: Promise<number> } {
  const first = Promise.withResolvers<number>();
  const all = Promise.withResolvers<number>();
  for (const { promise } of [first, all]) promise.catch(() => undefined);
  let missing = bytes;
  socket.on("data", (chunk: Buffer) => {
    const now = performance.now();
    first.resolve(now);
    missing -= chunk.length;
    if (missing <= 0) all.resolve(now);
  });
  socket.once("close", () => {
    const error = socket.errored ?? new Error(`the connection was closed, ${missing} bytes before its end`);
    first.reject(error);
    all.reject(error);
  });
  socket.write(`${bytes}\n`);
  return { first: first.promise, all: all.promise };
}

/** Why a signal was aborted, in words. */
function reasonOf(signal: AbortSignal): string {
  const reason: unknown = signal.reason;
  if (reason instanceof Error) return reason.name === "TimeoutError" ? "out of time" : reason.message;
  return String(reason);
}
