import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { onTestFinished } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { NOBODY } from "../../../../test/support/free-port.ts";

/** Servers that a test scripts; each listens on a free port of loopback and is gone when the test is. */

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Duplex>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

/** A TCP server that does what `onSocket` does. */
export async function tcpServer(onSocket: (socket: Socket) => void): Promise<URL> {
  return new URL(`ws://127.0.0.1:${await listen(createTcpServer(onSocket))}/`);
}

/** An HTTP server without WebSockets: upgrade requests are answered like others. */
export async function httpServer(onRequest: RequestListener): Promise<URL> {
  const server: HttpServer = createHttpServer({ shouldUpgradeCallback: () => false }, onRequest);
  return new URL(`ws://127.0.0.1:${await listen(server)}/`);
}

/** A WebSocket server; `subprotocol` is what it answers with, false for none. */
export async function webSocketServer(
  onSocket: (socket: WebSocket) => void,
  options: { readonly subprotocol?: string | false } = {},
): Promise<URL> {
  const { subprotocol = "culvert.v1" } = options;
  const server = createHttpServer();
  const upgrades = new WebSocketServer({ server, handleProtocols: () => subprotocol });
  upgrades.on("connection", (socket) => {
    socket.on("error", () => undefined);
    onSocket(socket);
  });
  onTestFinished(() => upgrades.close());
  return new URL(`ws://127.0.0.1:${await listen(server)}/`);
}

/** An address where nobody listens. */
export async function deadUrl(): Promise<URL> {
  return new URL(`ws://${NOBODY}/`);
}
