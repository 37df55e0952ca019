import { once } from "node:events";
import { connect, createServer, type NetConnectOpts, type Server, type Socket } from "node:net";
import { formatEndpoint, parseEndpoint } from "@culvert/protocol";
import { onTestFinished } from "vitest";
import { Listener, type Visitor } from "../../src/listener.ts";

/** By socket: its 'close'. (The `closed` of a net.Socket is true as soon as it is destroyed.) */
const closings = new WeakMap<Socket, Promise<void>>();

/** Destroys the socket at the end of the test and lets no error of it fail the run. */
export function tracked<T extends Socket>(socket: T): T {
  socket.on("error", () => {});
  closings.set(socket, eventOf(socket, "close"));
  onTestFinished(async () => {
    socket.destroy();
    await closing(socket);
  });
  return socket;
}

/** What a socket went through, as text: "end", "ECONNRESET", "close". Starts no reading. */
export function storyOf(socket: Socket): string[] {
  const story: string[] = [];
  socket.on("end", () => story.push("end"));
  socket.on("error", (error) => story.push((error as NodeJS.ErrnoException).code ?? error.message));
  socket.on("close", () => story.push("close"));
  return story;
}

/** A connected pair: what an application holds, and what the listener gave us for it (paused). */
export interface Visit {
  readonly app: Socket;
  readonly socket: Socket;
}

export async function visit(listen = "tcp://127.0.0.1:0"): Promise<Visit> {
  let arrived: (visitor: Visitor) => void;
  const arrival = new Promise<Visitor>((resolve) => {
    arrived = resolve;
  });
  const listener = await Listener.listen(parseEndpoint(listen), (visitor) => arrived(visitor));
  const app = tracked(connectTo(formatEndpoint(listener.address)));
  const [{ socket }] = await Promise.all([arrival, once(app, "connect")]);
  tracked(socket);
  await listener.close();
  return { app, socket };
}

/** An application's own socket, half-open allowed. */
export function connectTo(endpoint: string): Socket {
  const target = parseEndpoint(endpoint);
  const where = target.scheme === "unix" ? { path: target.path } : { host: target.host, port: target.port };
  return connect({ ...where, allowHalfOpen: true } as NetConnectOpts);
}

/** A plain server on a free port of 127.0.0.1, with its connections, closed at the end of the test. */
export async function serve(
  onSocket: (socket: Socket) => void = () => {},
): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => onSocket(tracked(socket)));
  return { server, port: await listenOn(server) };
}

export async function listenOn(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as { port: number }).port;
}

/** Reads to the end. */
export async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.resume();
  await once(socket, "end");
  return Buffer.concat(chunks);
}

/** Resolves with `event`; unlike `once` of node:events, an 'error' before it is no failure. */
export function eventOf(emitter: NodeJS.EventEmitter, event: string): Promise<void> {
  return new Promise((resolve) => emitter.once(event, () => resolve()));
}

/** Resolves when the tracked `socket` is closed, at once when it already is. */
export async function closing(socket: Socket): Promise<void> {
  await closings.get(socket);
}

/** Resolves when one of the `event`s of `emitter` finds that `holds`. */
export async function until(
  emitter: NodeJS.EventEmitter,
  event: string,
  holds: () => boolean,
): Promise<void> {
  while (!holds()) await eventOf(emitter, event);
}

/** `bytes` that show any loss, doubling and disorder. */
export function pattern(bytes: number, seed = 1): Buffer {
  const out = Buffer.allocUnsafe(bytes);
  let state = seed;
  for (let at = 0; at < bytes; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    out[at] = state >>> 24;
  }
  return out;
}
