import type { Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import { dateFault, type Logger } from "@culvert/peer";
import { CulvertError } from "@culvert/protocol";
import type { Door } from "./door.ts";
import { createOwnHttpServer, createOwnHttpsServer, listenOn } from "./own-http-server.ts";
import type { OwnPorts } from "./own-ports.ts";
import type { ResolvedServerOptions } from "./server-options.ts";
import { resolveServerTls, type ServerTls, type ServerTlsOptions } from "./server-tls.ts";
import { TlsHandshakes } from "./tls-handshakes.ts";
import { within } from "./within.ts";

/** Where a server that was started listens. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  /** What a client on this machine is given. */
  readonly url: string;
}

/** How long to wait for a start that has not finished. */
const START_MS = 2000;

/** The HTTP server of a tunnel server's own, plain or with TLS: where it listens, and with which certificate. */
export class OwnEndpoint {
  readonly #options: ResolvedServerOptions;
  readonly #log: Logger;
  readonly #door: Door;
  readonly #ports: OwnPorts;
  #tls: ServerTls | undefined;
  #server: HttpServer | HttpsServer | undefined;
  #starting: Promise<void> | undefined;

  /** @param ports learns where it listens. */
  constructor(options: ResolvedServerOptions, door: Door, ports: OwnPorts) {
    this.#options = options;
    this.#log = options.logger;
    this.#door = door;
    this.#ports = ports;
    this.#useTls(options.tls);
  }

  /** It listens, or is about to. */
  get isOpen(): boolean {
    return this.#server !== undefined;
  }

  /** Who has no certificate of its CAs gets no connection. */
  get demandsClientCertificate(): boolean {
    return this.#tls?.demandsClientCertificate ?? false;
  }

  /** Where it listens; undefined before and after. */
  get address(): ServerAddress | undefined {
    const bound = this.#server?.address();
    if (bound === undefined || bound === null || typeof bound === "string") return undefined;
    const { address: host, port, family } = bound;
    const scheme = this.#tls === undefined ? "ws" : "wss";
    const url = `${scheme}://${family === "IPv6" ? `[${host}]` : host}:${port}${this.#options.path}`;
    return { host, port, url };
  }

  /** Resolves when it listens. After a failure it may be called again. @throws CulvertError as `Server.start` says. */
  open(): Promise<void> {
    if (this.#server !== undefined) return Promise.reject(new CulvertError("already_started"));
    const server = this.#make();
    this.#server = server;
    this.#starting = this.#listen(server, this.#ports.add(server));
    return this.#starting;
  }

  #make(): HttpServer | HttpsServer {
    const { headTimeoutMs, tlsHandshakeTimeoutMs, path } = this.#options;
    const tls = this.#tls;
    if (tls === undefined) {
      const http = createOwnHttpServer(headTimeoutMs);
      this.#door.serve(http, path);
      return http;
    }
    const https = createOwnHttpsServer(headTimeoutMs, () => this.#tls ?? tls, tlsHandshakeTimeoutMs);
    const handshakes = new TlsHandshakes(https, this.#log);
    this.#door.serve(https, path, (socket) => handshakes.under(socket));
    return https;
  }

  async #listen(server: HttpServer | HttpsServer, leavePorts: () => void): Promise<void> {
    try {
      await listenOn(server, this.#options.host, this.#options.port);
    } catch (error) {
      leavePorts(); // it will never listen; the next try has one of its own
      this.#server = undefined;
      throw error;
    }
    // Out of descriptors, for one: what is open goes on, and the next connection may be accepted again.
    server.on("error", (error) => this.#log.warn({ cause: error.message }, "accepting a connection failed"));
  }

  /** The start is over, well or not: who started it hears of that. Only the lookup of a host's name can take long. */
  async started(): Promise<void> {
    if (this.#starting === undefined) return;
    await within(
      START_MS,
      this.#starting.catch(() => undefined),
    );
  }

  /** Accepts nobody any more; resolves when the last connection is closed. */
  close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return Promise.resolve();
    // The error says that it never listened, which is as good.
    return new Promise((resolve) => server.close(() => resolve()));
  }

  /** @throws CulvertError as `Server.setTls` says. */
  setTls(options: ServerTlsOptions): void {
    if (this.#tls === undefined) throw new CulvertError("invalid_option", "this server was made without tls");
    const tls = resolveServerTls(options);
    if (tls.demandsClientCertificate !== this.#tls.demandsClientCertificate) {
      throw new CulvertError(
        "invalid_option",
        "tls.clientCa can be replaced, but not added or taken away while the server runs: start it anew",
      );
    }
    if (this.#server !== undefined && "setSecureContext" in this.#server)
      this.#server.setSecureContext(tls.context);
    this.#useTls(tls);
    this.#log.info({}, "TLS certificate replaced");
  }

  #useTls(tls: ServerTls | undefined): void {
    this.#tls = tls;
    if (tls === undefined) return;
    const { validFrom, validTo } = tls.certificate;
    const fault = dateFault(tls.certificate, Date.now());
    if (fault !== undefined)
      this.#log.warn({ fault, validFrom, validTo }, "clients will refuse this certificate");
  }
}
