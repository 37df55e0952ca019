import type { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Logger } from "@culvert/peer";

/** One line about HTTP on the port of TLS is enough for so long. */
const SAY_AGAIN_MS = 60_000;

/**
 * The TLS handshakes of an HTTPS server: failures are logged, and it is known which TCP connection is under which TLS. The TLS
 * socket that Node makes does not say what it wraps; but the two addresses and ports of a TCP connection are those of no other
 * one at the time.
 */
export class TlsHandshakes {
  readonly #logger: Logger;
  readonly #underWay = new Map<string, Socket>();
  readonly #wrapped = new WeakMap<Duplex, Socket>();
  #saidHttpAt = Number.NEGATIVE_INFINITY;

  constructor(server: HttpsServer, logger: Logger) {
    this.#logger = logger;
    // Before TLS and HTTP hear of it.
    server.prependListener("connection", (socket) => this.#begin(socket as Socket));
    server.prependListener("secureConnection", (socket) => this.#done(socket));
    server.on("tlsClientError", (error: NodeJS.ErrnoException, socket) => this.#failed(error, socket));
  }

  /** The TCP connection under a TLS socket of this server, or `socket` itself when it is none. */
  under(socket: Duplex): Duplex {
    return this.#wrapped.get(socket) ?? socket;
  }

  #begin(socket: Socket): void {
    const key = keyOf(socket);
    this.#underWay.set(key, socket);
    socket.once("close", () => {
      if (this.#underWay.get(key) === socket) this.#underWay.delete(key);
    });
  }

  #done(secure: TLSSocket): void {
    const key = keyOf(secure);
    const socket = this.#underWay.get(key);
    // Without addresses it was reset meanwhile, and is gone soon; a request that came before counts as a connection of its own.
    if (socket === undefined || secure.remoteAddress === undefined) return;
    this.#underWay.delete(key);
    this.#wrapped.set(secure, socket);
  }

  #failed(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    const { remoteAddress, authorizationError } = socket;
    const fields = { remoteAddress, code: error.code, ...(authorizationError ? { authorizationError } : {}) };
    this.#logger.debug(fields, "TLS handshake failed");
    if (error.code !== "ERR_SSL_HTTP_REQUEST") return;
    const now = performance.now();
    if (now - this.#saidHttpAt < SAY_AGAIN_MS) return;
    this.#saidHttpAt = now;
    this.#logger.warn({ remoteAddress }, "plain HTTP came to the port of TLS: use wss:// or https://");
  }
}

function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
