import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Transport, webSocketTransport } from "@culvert/peer";
import { MAX_FRAME_BYTES, SUBPROTOCOL } from "@culvert/protocol";
import { type ServerOptions, WebSocketServer } from "ws";
import type { HttpAnswer } from "./http-answer.ts";

/** The defaults of ws are made for chat; these are for frames of a known largest size. */
const WS_OPTIONS: ServerOptions & { readonly closeTimeout: number } = {
  noServer: true,
  clientTracking: false,
  // Compression makes memory and time depend on the peer's bytes, and what is carried is mostly compressed already.
  perMessageDeflate: false,
  maxPayload: MAX_FRAME_BYTES,
  maxFragments: 16,
  // One byte a read is the worst that a middlebox does to a frame: what ws would take for an attack is then our own
  // largest frame, sent again and again.
  maxBufferedChunks: 65_536,
  closeTimeout: 5000,
  skipUTF8Validation: false,
  handleProtocols: () => SUBPROTOCOL,
};

/** TCP keepalive of a tunnel's socket: it lets the kernel forget a peer that vanished while nothing was said. */
const KEEP_ALIVE_MS = 30_000;

/** Turns upgrade requests that passed the gate into transports. The only file that knows the WebSocket library. */
export class Upgrade {
  readonly #server = new WebSocketServer(WS_OPTIONS);

  /** @param refuse Answers a request that ws finds wrong: its key, or a malformed list of subprotocols. */
  constructor(refuse: (socket: Duplex, answer: HttpAnswer) => void) {
    this.#server.on("wsClientError", (error, socket) => {
      refuse(socket, { status: 400, text: `${error.message}.` });
    });
  }

  /**
   * Answers 101 and hands out the transport, at once; or refuses it. The socket must have an error listener.
   * @param head what came behind the request.
   */
  accept(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    onTransport: (transport: Transport) => void,
  ): void {
    tuneSocket(socket);
    this.#server.handleUpgrade(request, socket, head, (ws) =>
      onTransport(webSocketTransport(ws, socket, "none")),
    );
  }
}

/** A server that was mounted may sit on any Duplex; a TCP socket gets its options set. */
function tuneSocket(socket: Duplex): void {
  const tcp = socket as Partial<Pick<Socket, "setNoDelay" | "setKeepAlive" | "setTimeout">>;
  tcp.setNoDelay?.(true);
  tcp.setKeepAlive?.(true, KEEP_ALIVE_MS);
  tcp.setTimeout?.(0);
}
