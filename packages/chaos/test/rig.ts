import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { ChaosProxy, type ChaosProxyOptions } from "../src/index.ts";

/** One end of a connection: keeps everything that it got, and how it ended. */
export class End {
  readonly socket: Socket;
  /** The sizes of the reads. */
  readonly chunks: number[] = [];
  /** Resolves at the peer's FIN. */
  readonly ended: Promise<void>;
  /** Resolves when the socket is gone: the error's code, or undefined for an orderly end. */
  readonly closed: Promise<string | undefined>;
  sawEnd = false;
  readonly #parts: Buffer[] = [];
  #bytes = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    let code: string | undefined;
    socket.on("error", (error: NodeJS.ErrnoException) => {
      code = error.code;
    });
    this.closed = new Promise((resolve) => socket.on("close", () => resolve(code)));
    this.ended = new Promise((resolve) =>
      socket.on("end", () => {
        this.sawEnd = true;
        resolve();
      }),
    );
    socket.on("data", (chunk: Buffer) => {
      this.chunks.push(chunk.length);
      this.#parts.push(chunk);
      this.#bytes += chunk.length;
      socket.emit("progress");
    });
  }

  get bytes(): number {
    return this.#bytes;
  }

  get received(): Buffer {
    return Buffer.concat(this.#parts);
  }

  /** Resolves when at least `bytes` have come; rejects if the socket goes first. */
  async got(bytes: number): Promise<Buffer> {
    while (this.#bytes < bytes) {
      const progress = new Promise((resolve) => this.socket.once("progress", () => resolve("progress")));
      const code = await Promise.race([progress, this.closed]);
      if (code !== "progress" && this.#bytes < bytes) {
        throw new Error(`closed (${code}) after ${this.#bytes} of ${bytes} bytes`);
      }
    }
    return this.received;
  }
}

/** A proxy, and a target that hands over each connection it accepts. */
export class Rig implements AsyncDisposable {
  readonly proxy: ChaosProxy;
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  /** Connections that nobody asked for yet, and who asked before one came; one of the two is empty. */
  readonly #accepted: End[] = [];
  readonly #waiting: ((end: End) => void)[] = [];

  private constructor(proxy: ChaosProxy, server: Server) {
    this.proxy = proxy;
    this.#server = server;
    server.on("connection", (socket) => {
      this.#sockets.push(socket);
      const end = new End(socket);
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#accepted.push(end);
      else waiting(end);
    });
  }

  static async start(options: Omit<ChaosProxyOptions, "target"> = {}): Promise<Rig> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const target = { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
    return new Rig(await ChaosProxy.start({ seed: 1, ...options, target }), server);
  }

  /** A visitor, connected to the proxy; the target may not know of it. */
  async visit(): Promise<End> {
    const socket = connect({ port: this.proxy.port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    this.#sockets.push(socket);
    const end = new End(socket);
    await Promise.race([new Promise((resolve) => socket.once("connect", resolve)), end.closed]);
    return end;
  }

  /** The next connection that reaches, or reached, the target. */
  accept(): Promise<End> {
    const end = this.#accepted.shift();
    if (end !== undefined) return Promise.resolve(end);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** A connection through the proxy: the visitor's end and the target's, both open. */
  async pair(): Promise<{ near: End; far: End; id: number }> {
    const open = once(this.proxy, "open");
    const accepted = this.accept();
    const near = await this.visit();
    const far = await accepted;
    const [{ id }] = (await open) as [{ id: number }];
    return { near, far, id };
  }

  /** The target goes away; its port refuses from now on. */
  closeTarget(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.close();
    for (const socket of this.#sockets) socket.destroy();
    await this.closeTarget();
  }
}

export function random(bytes: number): Buffer {
  return randomBytes(bytes);
}

/** Waits until a condition holds that no event tells; a deadline is the test's. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(2);
}

/**
 * Waits until a number stands still. It counts looks and not time, so that it is not deceived when the process itself
 * stands still. An early answer can only make an upper bound easier to hold: wait for a lower one before.
 */
export async function settled(value: () => number): Promise<number> {
  let last = value();
  for (let looks = 0; looks < 20; looks += 1) {
    await sleep(5);
    const now = value();
    if (now !== last) looks = 0;
    last = now;
  }
  return last;
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
