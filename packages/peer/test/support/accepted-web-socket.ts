import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";

/** A server's WebSocket over `socket`, as if a client had asked for it there. */
export function acceptedWebSocket(socket: Duplex): Promise<WebSocket> {
  const headers = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": randomBytes(16).toString("base64"),
  };
  const request = { method: "GET", url: "/", headers } as unknown as IncomingMessage;
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  return new Promise((resolve) => {
    server.handleUpgrade(request, socket, Buffer.alloc(0), resolve);
  });
}
