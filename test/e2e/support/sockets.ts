import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A TCP service in this process. Leaving its scope (`await using`) ends it and its connections. */
export class Service implements AsyncDisposable {
  /** Those that are open. */
  readonly sockets = new Set<Socket>();
  /** How many there were. */
  accepted = 0;
  readonly #server: Server;

  private constructor(onSocket: (socket: Socket) => void) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.accepted++;
      this.sockets.add(socket);
      socket.on("error", ignore);
      socket.on("close", () => this.sockets.delete(socket));
      onSocket(socket);
    });
  }

  /** @param onSocket Errors of the socket are heard by others already. */
  static async start(onSocket: (socket: Socket) => void): Promise<Service> {
    const service = new Service(onSocket);
    service.#server.listen({ host: "127.0.0.1", port: 0, backlog: 2048 });
    await once(service.#server, "listening");
    return service;
  }

  /** Sends back what comes in, and ends when the other side did. */
  static async echo(): Promise<Service> {
    return await Service.start((socket) => void socket.pipe(socket));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}

/** A connection to a port of this machine. `using` destroys it, and errors after this fail nothing by themselves. */
export async function dial(port: number): Promise<Socket & Disposable> {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
  await once(socket, "connect");
  socket.on("error", ignore);
  return Object.assign(socket, { [Symbol.dispose]: () => void socket.destroy() });
}

/** Writes all of it, as fast as the other side takes it. @throws the error of the socket. */
export async function send(socket: Socket, pieces: Iterable<Uint8Array>): Promise<void> {
  for (const piece of pieces) {
    if (!socket.write(piece)) await once(socket, "drain");
  }
}

export interface Received {
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Reads to the end.
 * @param onBytes Told the length of each piece.
 * @throws the error of the socket, a reset for one.
 */
export async function receive(socket: Socket, onBytes: (bytes: number) => void = ignore): Promise<Received> {
  const hash = createHash("sha256");
  let bytes = 0;
  socket.on("data", (piece: Buffer) => {
    hash.update(piece);
    bytes += piece.length;
    onBytes(piece.length);
  });
  await once(socket, "end");
  return { bytes, sha256: hash.digest("hex") };
}

/** Sends `message` and waits until exactly that came back. @throws the error of the socket, or what else came. */
export async function echo(socket: Socket, message: Buffer): Promise<void> {
  let received: Buffer = Buffer.alloc(0);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onData = (piece: Buffer): void => {
    received = received.length === 0 ? piece : Buffer.concat([received, piece]);
    if (received.length >= message.length) resolve();
  };
  const onEnd = (): void => reject(new Error(`ended after ${received.length} bytes of ${message.length}`));
  socket.on("data", onData);
  socket.once("error", reject);
  socket.once("end", onEnd);
  socket.write(message);
  try {
    await promise;
  } finally {
    socket.off("data", onData);
    socket.off("error", reject);
    socket.off("end", onEnd);
  }
  if (!received.equals(message)) throw new Error(`something else came back: ${received.toString("latin1")}`);
}

/** Connects, sends something, gets it back, leaves. @throws the error of the socket. */
export async function echoOnce(port: number): Promise<void> {
  using visitor = await dial(port);
  await echo(visitor, Buffer.from("hello"));
}

function ignore(): void {}
