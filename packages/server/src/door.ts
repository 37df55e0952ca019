import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import type { Logger } from "@culvert/peer";
import type { Arrival } from "./admission.ts";
import { type Gate, type GateVerdict, NOT_FOUND } from "./gate.ts";
import { type HttpAnswer, sendAnswer, writeAnswer } from "./http-answer.ts";
import type { Mount } from "./mount-table.ts";
import { pathOf } from "./request-path.ts";
import type { ServerEvent } from "./server-events.ts";
import { Upgrade } from "./upgrade.ts";
import { type RoomLimits, WaitingRoom } from "./waiting-room.ts";
import { within } from "./within.ts";

export interface DoorOptions {
  readonly gate: Gate;
  /** For connections that have not passed the gate. */
  readonly strangers: RoomLimits;
  readonly logger: Logger;
  readonly emit: (event: ServerEvent) => void;
  /** Takes an authenticated transport through its handshake. */
  readonly admit: (arrival: Arrival) => void;
}

/**
 * For connections that passed the gate and have not finished their handshake. As many as come in 5 s, the time that they
 * have, with the default of 200 a second; one address may have half of it.
 */
const HANDSHAKES: RoomLimits = { most: 1000, mostPerAddress: 500 };

/** Where connections come in: takes the requests of HTTP servers, and knows every connection that is ours. */
export class Door implements Mount {
  readonly #options: DoorOptions;
  readonly #upgrade = new Upgrade((socket, answer) => this.#refuse(socket, answer, { level: "debug" }));
  readonly #strangers: WaitingRoom;
  /** Of its own, so that strangers cannot drop who has been authenticated, however many they are. */
  readonly #handshakes = new WaitingRoom(HANDSHAKES);
  /** All connections of our own HTTP server, TCP ones also where TLS is spoken; and what was upgraded on those of others. */
  readonly #sockets = new Set<Duplex>();
  /** The connection that was tracked, of the socket on which a request came. */
  #under: (socket: Duplex) => Duplex = (socket) => socket;
  #onSocketGone: (() => void) | undefined;
  #transports = 0;
  #refused = 0;

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#strangers = new WaitingRoom(options.strangers);
  }

  /** Connections without a finished handshake. */
  get handshaking(): number {
    return this.#strangers.size + this.#handshakes.size;
  }

  /** How many of those were dropped to make room. */
  get droppedHandshakes(): number {
    return this.#strangers.dropped + this.#handshakes.dropped;
  }

  /** WebSockets that became a session's transport, ever. */
  get transports(): number {
    return this.#transports;
  }

  /** Upgrade requests that were refused, ever. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Serves `path` of a server of our own, where nothing else is. A connection counts from TCP's accept on.
   * @param under The TCP connection of the socket on which a request came, where these are not the same.
   */
  serve(own: HttpServer | HttpsServer, path: string, under: (socket: Duplex) => Duplex = this.#under): void {
    this.#under = under;
    own.on("connection", (socket: Duplex) => this.#track(socket));
    own.on("request", (request, response) => {
      if (pathOf(request) === path) this.onRequest(request, response);
      else this.#answer(response, NOT_FOUND);
    });
    own.on("upgrade", (request, socket, head) => {
      if (pathOf(request) === path) this.onUpgrade(request, socket, head);
      else this.#refuse(socket, NOT_FOUND);
    });
  }

  /** A plain request to the tunnel's path. */
  onRequest(request: IncomingMessage, response: ServerResponse): void {
    this.#answer(response, this.#options.gate.answerPlain(request));
  }

  /** An upgrade request to the tunnel's path. */
  onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const connection = this.#under(socket);
    this.#track(connection);
    if (connection !== socket) socket.on("error", ignore); // 'close' follows
    const verdict = this.#options.gate.judge(request, socket);
    // At once where possible. While it takes time the connection stays a stranger, and may be dropped as one; nobody reads
    // it, so that what comes behind the request waits in it.
    if (verdict instanceof Promise) {
      void verdict.then((late) => {
        if (!socket.destroyed) this.#answerUpgrade(late, request, socket, head);
      });
    } else this.#answerUpgrade(verdict, request, socket, head);
  }

  #answerUpgrade(verdict: GateVerdict, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const connection = this.#under(socket);
    if (verdict.kind === "refuse") {
      this.#refuse(socket, verdict.answer, { why: verdict.why, isUsual: verdict.isUsual });
      return;
    }
    this.#strangers.leave(connection);
    this.#handshakes.enter(connection);
    const remoteAddress = remoteOf(socket);
    this.#upgrade.accept(request, socket, head, (transport) => {
      this.#options.admit({
        transport,
        identity: verdict.identity,
        remoteAddress,
        userAgent: request.headers["user-agent"],
        onAdmitted: () => {
          this.#transports += 1;
          this.#handshakes.leave(connection);
        },
      });
    });
  }

  /** Drops the connections that have not finished their handshake. */
  dropWaiting(): void {
    this.#strangers.clear();
    this.#handshakes.clear();
  }

  /** Waits until every connection is closed, at most `ms`; then those that are left are cut. */
  async empty(ms: number): Promise<void> {
    if (this.#sockets.size === 0) return;
    const gone = new Promise<void>((resolve) => {
      this.#onSocketGone = () => {
        if (this.#sockets.size === 0) resolve();
      };
    });
    await within(ms, gone);
    for (const socket of this.#sockets) socket.destroy();
  }

  #answer(response: ServerResponse, answer: HttpAnswer): void {
    response.on("error", ignore);
    sendAnswer(response, answer);
  }

  #refuse(
    socket: Duplex,
    answer: HttpAnswer,
    about: { why?: string | undefined; isUsual?: boolean | undefined; level?: "debug" } = {},
  ): void {
    const { why, isUsual = false, level = isUsual ? "debug" : "info" } = about;
    const remoteAddress = remoteOf(socket);
    this.#refused += 1;
    this.#options.logger[level]({ remoteAddress, status: answer.status, why }, "upgrade refused");
    const refused = { type: "refused", remoteAddress, reason: answer.status } as const;
    this.#options.emit({
      ...refused,
      ...(why === undefined ? {} : { why }),
      ...(isUsual ? { isUsual } : {}),
    });
    socket.on("error", ignore);
    writeAnswer(socket, answer);
  }

  /** A connection is a stranger until it has passed the gate. */
  #track(socket: Duplex): void {
    if (this.#sockets.has(socket)) return;
    this.#sockets.add(socket);
    socket.on("error", ignore); // 'close' follows
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#strangers.leave(socket);
      this.#handshakes.leave(socket);
      this.#onSocketGone?.();
    });
    this.#strangers.enter(socket);
  }
}

function remoteOf(socket: Duplex): string | undefined {
  const { remoteAddress, remotePort } = socket as { remoteAddress?: string; remotePort?: number };
  if (remoteAddress === undefined) return undefined;
  return `${remoteAddress.includes(":") ? `[${remoteAddress}]` : remoteAddress}:${remotePort ?? 0}`;
}

function ignore(): void {}
