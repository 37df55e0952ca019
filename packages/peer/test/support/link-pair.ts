import { resolveSessionOptions, type SessionOptions } from "@culvert/protocol";
import { onTestFinished } from "vitest";
import { Link } from "../../src/link.ts";
import { silentLogger } from "../../src/logger.ts";
import type { Transport, TransportHandler } from "../../src/transport.ts";

/** One end of a connection inside this process: messages arrive in order, in a later turn of the event loop. */
class MemoryTransport implements Transport {
  readonly bufferedBytes = 0;
  #handler: TransportHandler | undefined;
  #peer: MemoryTransport | undefined;
  #inbox: ((handler: TransportHandler) => void)[] = [];
  #isClosed = false;

  static pair(): [MemoryTransport, MemoryTransport] {
    const pair: [MemoryTransport, MemoryTransport] = [new MemoryTransport(), new MemoryTransport()];
    pair[0].#peer = pair[1];
    pair[1].#peer = pair[0];
    return pair;
  }

  get handler(): TransportHandler | undefined {
    return this.#handler;
  }

  set handler(handler: TransportHandler | undefined) {
    this.#handler = handler;
    setImmediate(() => this.#deliver());
  }

  send(frame: Uint8Array): void {
    if (this.#isClosed) return;
    const copy = new Uint8Array(frame);
    this.#other().#post((handler) => handler.onMessage(copy));
  }

  cork(): void {}
  uncork(): void {}

  close(code: number, reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#other().#post((handler) => handler.onClose(code, reason));
    this.#post((handler) => handler.onClose(code, reason));
  }

  readonly highWaterBytes = 262_144;

  terminate(): void {
    this.close(1006, "");
  }

  #other(): MemoryTransport {
    if (this.#peer === undefined) throw new Error("half a pair");
    return this.#peer;
  }

  #post(message: (handler: TransportHandler) => void): void {
    this.#inbox.push(message);
    setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    while (this.#handler !== undefined && this.#inbox.length > 0) this.#inbox.shift()?.(this.#handler);
  }
}

export interface LinkPair {
  readonly client: Link;
  readonly server: Link;
  /** Attaches both to a new connection. */
  attach(): void;
  /** Cuts the connection. */
  cut(): void;
}

/** A client's and a server's link to each other, attached; closed at the end of the test. */
export function linkPair(options: Partial<SessionOptions> = {}): LinkPair {
  const session = resolveSessionOptions(options);
  const [client, server] = (["client", "server"] as const).map(
    (role) => new Link({ role, session, peerLimits: session, logger: silentLogger }),
  ) as [Link, Link];
  let current: MemoryTransport | undefined;
  const pair: LinkPair = {
    client,
    server,
    attach: () => {
      const [a, b] = MemoryTransport.pair();
      const received = { client: client.fence(), server: server.fence() };
      client.attach(a, received.server);
      server.attach(b, received.client);
      current = a;
    },
    cut: () => current?.terminate(),
  };
  onTestFinished(() => {
    client.close();
    server.close();
  });
  pair.attach();
  return pair;
}
