import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import {
  Link,
  makeProof,
  newInstanceId,
  silentLogger,
  type Transport,
  webSocketTransport,
} from "@culvert/peer";
import {
  decodeHandshake,
  encodeHello,
  type HandshakeMessage,
  type Hello,
  proofInput,
  type Reject,
  resolveSessionOptions,
  SUBPROTOCOL,
  type Welcome,
} from "@culvert/protocol";
import { WebSocket } from "ws";

export interface RawClientOptions {
  readonly token?: string;
  readonly protocols?: string[];
  readonly headers?: Record<string, string>;
  /** Of loopback, to come from. */
  readonly localAddress?: string;
  /** Of a server with TLS. */
  readonly ca?: string;
}

const OPTIONS = resolveSessionOptions();

/** A HELLO as an honest client says it; `changes` are laid over it. */
export function helloOf(changes: Partial<Hello> = {}): Hello {
  return {
    version: 1,
    instance: newInstanceId(),
    name: "raw",
    agent: "test",
    limits: {
      maxStreams: OPTIONS.maxStreams,
      maxPendingOpens: OPTIONS.maxPendingOpens,
      maxTunnels: OPTIONS.maxTunnels,
      initialWindowBytes: OPTIONS.initialWindowBytes,
      replayLimitBytes: OPTIONS.replayLimitBytes,
    },
    keepalive: { intervalMs: OPTIONS.pingIntervalMs, timeoutMs: OPTIONS.silenceMs },
    ...changes,
  };
}

/** One WebSocket to the server, by hand: every message and the close can be awaited. */
export class RawClient {
  readonly ws: WebSocket;
  /** Resolves when the WebSocket is closed. */
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly transport: Transport;

  private constructor(ws: WebSocket, socket: Duplex) {
    this.ws = ws;
    this.transport = webSocketTransport(ws, socket, "random");
    this.closed = new Promise((resolve) => {
      ws.on("close", (code, reason) => resolve({ code, reason: reason.toString() }));
    });
  }

  static async connect(url: string, options: RawClientOptions = {}): Promise<RawClient> {
    const { token, protocols = [SUBPROTOCOL], headers, localAddress, ca } = options;
    const authorization = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const ws = new WebSocket(url, protocols, {
      perMessageDeflate: false,
      ...(ca === undefined ? {} : { ca }),
      headers: { ...authorization, ...headers },
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    let socket: Duplex | undefined;
    ws.on("upgrade", (response: IncomingMessage) => {
      socket = response.socket;
    });
    return await new Promise((resolve, reject) => {
      ws.on("error", reject);
      // In this turn: a message may be the next thing that happens.
      ws.on("open", () =>
        socket === undefined ? reject(new Error("no socket")) : resolve(new RawClient(ws, socket)),
      );
    });
  }

  send(message: Uint8Array | string): void {
    this.ws.send(message);
  }

  /** The next binary message; undefined when the WebSocket closed first. Those behind it stay in the transport. */
  next(): Promise<Uint8Array | undefined> {
    return new Promise((resolve) => {
      const take = (message?: Uint8Array): void => {
        this.transport.handler = undefined;
        resolve(message);
      };
      this.transport.handler = {
        onMessage: take,
        onText: () => take(),
        onHeard: ignore,
        onDrain: ignore,
        onClose: () => take(),
      };
    });
  }

  async shake(hello: Hello): Promise<HandshakeMessage> {
    this.send(encodeHello(hello));
    const answer = await this.next();
    if (answer === undefined)
      throw new Error(`closed without an answer: ${JSON.stringify(await this.closed)}`);
    return decodeHandshake(answer);
  }

  async welcomed(hello: Hello): Promise<Welcome> {
    const answer = await this.shake(hello);
    if (answer.type !== "welcome") throw new Error(`no welcome but ${JSON.stringify(answer)}`);
    return answer.welcome;
  }

  /** Gets a refusal and the close behind it. */
  async rejected(hello: Hello): Promise<Reject & { close: number }> {
    const answer = await this.shake(hello);
    if (answer.type !== "reject") throw new Error(`no reject but ${JSON.stringify(answer)}`);
    return { ...answer.reject, close: (await this.closed).code };
  }
}

/** A client's end of a session, as far as a test needs one. */
export interface RawSession {
  readonly client: RawClient;
  readonly hello: Hello;
  readonly welcome: Welcome;
  readonly link: Link;
}

/** Connects, creates a session and drives it with a link. */
export async function openSession(
  url: string,
  hello: Hello = helloOf(),
  options: RawClientOptions = {},
): Promise<RawSession> {
  const client = await RawClient.connect(url, options);
  const welcome = await client.welcomed(hello);
  const link = new Link({
    role: "client",
    session: OPTIONS,
    peerLimits: welcome.limits,
    logger: silentLogger,
  });
  link.attach(client.transport, 0);
  return { client, hello, welcome, link };
}

/** The `resume` of a HELLO for a session, rightly proven. */
export function resumeOf(welcome: Welcome, attempt: number, received: number): NonNullable<Hello["resume"]> {
  const { session, secret = "" } = welcome;
  return { session, attempt, received, proof: makeProof(secret, proofInput(session, attempt, received)) };
}

function ignore(): void {}
