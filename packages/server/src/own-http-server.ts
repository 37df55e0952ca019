import { createServer, type Server as HttpServer } from "node:http";
import { CulvertError, type ErrorCode } from "@culvert/protocol";

const CHECKING_INTERVAL_MS = 1000;

/**
 * The HTTP server of a tunnel server that is not mounted anywhere; not listening yet.
 * @param headTimeoutMs For the head of a request, and half as long again for all of it. Absolute: dribbling bytes do not
 * extend it.
 */
export function createOwnHttpServer(headTimeoutMs: number): HttpServer {
  const server = createServer({
    headersTimeout: headTimeoutMs,
    requestTimeout: Math.ceil(headTimeoutMs * 1.5),
    connectionsCheckingInterval: Math.min(CHECKING_INTERVAL_MS, headTimeoutMs),
    noDelay: true,
  });
  // With a limit the parser hides the headers beyond it instead of refusing them; the gate counts and refuses.
  server.maxHeadersCount = 0;
  return server;
}

/**
 * Resolves when `server` accepts connections.
 * @throws CulvertError `address_in_use`, `address_unavailable`, `address_forbidden` or `listen_failed`, naming the address.
 */
export function listenOn(server: HttpServer, host: string, port: number): Promise<void> {
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
