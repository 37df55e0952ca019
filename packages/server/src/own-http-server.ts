import { createServer, type Server as HttpServer, type ServerOptions } from "node:http";
import { createServer as createTlsServer, type Server as HttpsServer } from "node:https";
import { CulvertError, type ErrorCode } from "@culvert/protocol";
import { contextFor } from "./server-name.ts";
import type { ServerTls } from "./server-tls.ts";

const CHECKING_INTERVAL_MS = 1000;

/**
 * The HTTP server of a tunnel server that is not mounted anywhere; not listening yet.
 * @param headTimeoutMs For the head of a request, and half as long again for all of it. Absolute: dribbling bytes do not
 * extend it.
 */
export function createOwnHttpServer(headTimeoutMs: number): HttpServer {
  return withAllHeaders(createServer(httpOptions(headTimeoutMs)));
}

/**
 * The same with TLS below. Certificates are replaced by its `setSecureContext`.
 * @param tls Asked for each connection; whether a client certificate is demanded counts from the beginning and for good.
 * @param handshakeTimeoutMs Absolute as well: it is extended by what was decrypted, and before the end of a handshake nothing is.
 */
export function createOwnHttpsServer(
  headTimeoutMs: number,
  tls: () => ServerTls,
  handshakeTimeoutMs: number,
): HttpsServer {
  const { context, demandsClientCertificate } = tls();
  const server = createTlsServer({
    ...httpOptions(headTimeoutMs),
    ...context,
    requestCert: demandsClientCertificate,
    rejectUnauthorized: true,
    handshakeTimeout: handshakeTimeoutMs,
    // RFC 7301: who offers only others, as h2, hears so in the handshake.
    ALPNProtocols: ["http/1.1"],
    SNICallback: (serverName, done) => contextFor(tls().sniCallback, serverName, done),
  });
  return withAllHeaders(server);
}

function httpOptions(headTimeoutMs: number): ServerOptions {
  return {
    headersTimeout: headTimeoutMs,
    requestTimeout: Math.ceil(headTimeoutMs * 1.5),
    connectionsCheckingInterval: Math.min(CHECKING_INTERVAL_MS, headTimeoutMs),
    noDelay: true,
  };
}

function withAllHeaders<S extends HttpServer | HttpsServer>(server: S): S {
  // With a limit the parser hides the headers beyond it instead of refusing them; the gate counts and refuses.
  server.maxHeadersCount = 0;
  return server;
}

/**
 * Resolves when `server` accepts connections.
 * @throws CulvertError `address_in_use`, `address_unavailable`, `address_forbidden` or `listen_failed`, naming the address.
 */
export function listenOn(server: HttpServer | HttpsServer, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      server.off("listening", onListening);
      const shown = `${host.includes(":") ? `[${host}]` : host}:${port}`;
      const code = CODES[error.code ?? ""];
      const detail = code === undefined ? `${shown} (${error.code ?? error.message})` : shown;
      reject(new CulvertError(code ?? "listen_failed", detail, { cause: error }));
    };
    const onListening = (): void => {
      server.off("error", onError);
      resolve();
    };
    server.once("error", onError);
    server.once("listening", onListening);
    server.listen({ host, port });
  });
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  EADDRINUSE: "address_in_use",
  EADDRNOTAVAIL: "address_unavailable",
  EACCES: "address_forbidden",
};
