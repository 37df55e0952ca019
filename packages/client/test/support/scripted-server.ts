import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { Socket } from "node:net";
import {
  Link,
  newSecret,
  silentLogger,
  type Transport,
  type TunnelRequest,
  TunnelStream,
  verifyProof,
  webSocketTransport,
} from "@culvert/peer";
import {
  CulvertError,
  decodeHandshake,
  ERRORS,
  encodeReject,
  encodeWelcome,
  type Hello,
  type IncomingStream,
  proofInput,
  type Reject,
  resolveSessionOptions,
  type SessionOptions,
  type Welcome,
} from "@culvert/protocol";
import { onTestFinished } from "vitest";
import { WebSocketServer } from "ws";
import { freePort } from "../../../../test/support/free-port.ts";

/** A client that said HELLO and waits for the answer. */
export interface Arrival {
  readonly hello: Hello;
  readonly headers: IncomingHttpHeaders;
  readonly transport: Transport;
}

export interface ServerSide {
  readonly id: string;
  readonly secret: string;
  readonly link: Link;
  readonly tunnels: TunnelRequest[];
}

/** Answers one HELLO. */
export type Answer = (arrival: Arrival, server: ScriptedServer) => void;

/**
 * A server of real links and scripted answers: each HELLO gets the next of `answers`, and when there is none what a real
 * server would say. Tunnels get the address that they ask for, without anybody listening; streams are echoed.
 */
export class ScriptedServer {
  readonly arrivals: Arrival[] = [];
  readonly sessions: ServerSide[] = [];
  readonly answers: Answer[] = [];
  readonly notes: string[] = [];
  onStream: (incoming: IncomingStream) => void = echo;
  onTunnel: (request: TunnelRequest) => void = (request) => request.ready(request.listen);
  /** One that it can have again after a while in which nobody listened. */
  readonly port: number;
  readonly #session: SessionOptions;
  #http: Server | undefined;
  readonly #sockets = new Set<Socket>();
  #waiters: (() => void)[] = [];

  private constructor(port: number, session: Partial<SessionOptions>) {
    this.port = port;
    this.#session = resolveSessionOptions(session);
  }

  static async start(session: Partial<SessionOptions> = {}): Promise<ScriptedServer> {
    const server = new ScriptedServer(await freePort(), session);
    await server.listen();
    onTestFinished(() => server.stop());
    return server;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/`;
  }

  /** The last session. */
  get session(): ServerSide {
    const last = this.sessions.at(-1);
    if (last === undefined) throw new Error("no client has a session");
    return last;
  }

  /** Listens, again on the same port. */
  async listen(): Promise<void> {
    const http = createServer();
    this.#http = http;
    http.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    const upgrades = new WebSocketServer({ noServer: true, handleProtocols: () => "culvert.v1" });
    http.on("upgrade", (request, socket, head) => {
      upgrades.handleUpgrade(request, socket, head, (ws) => {
        ws.on("error", () => undefined);
        this.#greet(webSocketTransport(ws, socket, "none"), request.headers);
      });
    });
    http.listen(this.port, "127.0.0.1");
    await once(http, "listening");
  }

  /** Breaks every connection; sessions stay. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Breaks every connection and stops listening; sessions stay. */
  async hide(): Promise<void> {
    const http = this.#http;
    this.#http = undefined;
    this.cut();
    if (http !== undefined) await new Promise((resolve) => http.close(resolve));
  }

  /** Is gone, as after kill -9: no session stays. */
  async stop(): Promise<void> {
    await this.hide();
    for (const { link } of this.sessions) link.fail(new CulvertError("closed"));
    this.sessions.length = 0;
  }

  /** Waits until it is so; looks again after everything that happens here. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  changed(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }

  #greet(transport: Transport, headers: IncomingHttpHeaders): void {
    transport.handler = {
      onMessage: (message) => {
        const first = decodeHandshake(message);
        if (first.type !== "hello") throw new Error(`${first.type} from a client`);
        const arrival = { hello: first.hello, headers, transport };
        this.arrivals.push(arrival);
        const answer = this.answers.shift() ?? admit;
        answer(arrival, this);
        this.changed();
      },
      onText: () => undefined,
      onHeard: () => undefined,
      onDrain: () => undefined,
      onClose: () => this.changed(),
    };
  }

  welcome(arrival: Arrival, welcome: Partial<Welcome> & Pick<Welcome, "session">): void {
    const { maxStreams, maxPendingOpens, maxTunnels, initialWindowBytes, replayLimitBytes } = this.#session;
    const { pingIntervalMs, silenceMs, graceMs } = this.#session;
    arrival.transport.send(
      encodeWelcome({
        version: 1,
        received: 0,
        agent: "scripted",
        limits: { maxStreams, maxPendingOpens, maxTunnels, initialWindowBytes, replayLimitBytes },
        keepalive: { intervalMs: pingIntervalMs, timeoutMs: silenceMs },
        graceMs,
        ...welcome,
      }),
    );
  }

  create(arrival: Arrival): void {
    const id = `scripted.${this.arrivals.length}`;
    const secret = newSecret();
    const { limits: peerLimits } = arrival.hello;
    const link = new Link({ role: "server", session: this.#session, peerLimits, logger: silentLogger });
    const side: ServerSide = { id, secret, link, tunnels: [] };
    link.onStream = (incoming) => {
      this.onStream(incoming);
      this.changed();
    };
    link.onTunnelRequest = (request) => {
      side.tunnels.push(request);
      request.onClose = () => {
        request.closed("closed");
        this.changed();
      };
      this.onTunnel(request);
      this.changed();
    };
    link.onNote = (text) => {
      this.notes.push(text);
      this.changed();
    };
    link.onGoaway = () => this.changed();
    link.onEnded = () => this.changed();
    link.onDetached = () => this.changed();
    this.sessions.push(side);
    this.welcome(arrival, { session: id, secret });
    link.attach(arrival.transport, 0);
  }

  resume(arrival: Arrival, side: ServerSide): void {
    const received = side.link.fence();
    this.welcome(arrival, { session: side.id, received });
    side.link.attach(arrival.transport, arrival.hello.resume?.received ?? 0);
  }
}

/** What a real server says. */
function admit(arrival: Arrival, server: ScriptedServer): void {
  const { resume } = arrival.hello;
  if (resume === undefined) {
    server.create(arrival);
    return;
  }
  const side = server.sessions.find(({ id, link }) => id === resume.session && link.state !== "ended");
  const input = proofInput(resume.session, resume.attempt, resume.received);
  if (side !== undefined && verifyProof(side.secret, input, resume.proof)) server.resume(arrival, side);
  else refuse({ code: "session_unknown" })(arrival, server);
}

export function refuse(reject: Reject): Answer {
  return ({ transport }) => {
    transport.send(encodeReject(reject));
    transport.close(ERRORS[reject.code].close, reject.code);
  };
}

/** Sends every byte back. */
function echo(incoming: IncomingStream): void {
  const stream = new TunnelStream({ connecting: false });
  stream.bind(incoming.accept(stream));
  stream.pipe(stream);
}
