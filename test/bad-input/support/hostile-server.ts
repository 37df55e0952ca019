import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import {
  decodeHandshake,
  encodeWelcome,
  type Hello,
  SESSION_DEFAULTS,
  type Welcome,
} from "@culvert/protocol";
import { FRAME } from "../../../packages/protocol/src/frame.ts";
import { soon } from "../../support/deadline.ts";
import { RawPeer } from "./raw-peer.ts";
import { RawWebSocket } from "./raw-web-socket.ts";

/** RFC 6455 section 1.3. */
const ACCEPT_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const SECRET = "A".repeat(43);

/** A client's upgrade request, to which nothing was said yet. */
export class Knock {
  readonly socket: Socket;
  readonly #key: string;

  constructor(socket: Socket, head: string) {
    this.socket = socket;
    this.#key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1] ?? "";
  }

  /** The right answer, with `changes` laid over its headers; an empty text leaves one out. */
  upgrade(
    changes: Readonly<Record<string, string>> = {},
    behind: Uint8Array = new Uint8Array(0),
  ): RawWebSocket {
    const accept = createHash("sha1").update(`${this.#key}${ACCEPT_GUID}`).digest("base64");
    const headers = {
      Upgrade: "websocket",
      Connection: "Upgrade",
      "Sec-WebSocket-Accept": accept,
      "Sec-WebSocket-Protocol": "culvert.v1",
      ...changes,
    };
    const lines = Object.entries(headers).filter(([, value]) => value !== "");
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    this.socket.write(Buffer.concat([Buffer.from(`HTTP/1.1 101 Go\r\n${head}\r\n`), behind]));
    const web = new RawWebSocket(this.socket, false);
    this.socket.resume();
    return web;
  }
}

/** A client that said HELLO, and waits for the answer. */
export interface Caller {
  readonly web: RawWebSocket;
  readonly hello: Hello;
}

/** A server that waits for clients, and does with each what the test says. */
export class HostileServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #knocks: Knock[] = [];
  #onKnock: (() => void) | undefined;

  private constructor(server: Server) {
    this.#server = server;
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => this.#sockets.delete(socket));
      this.#hear(socket);
    });
  }

  static async start(): Promise<HostileServer> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new HostileServer(server);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** The next request of a client that nobody took yet. */
  async knock(): Promise<Knock> {
    const take = async (): Promise<Knock> => {
      for (;;) {
        const knock = this.#knocks.shift();
        if (knock !== undefined) return knock;
        await new Promise<void>((resolve) => {
          this.#onKnock = resolve;
        });
      }
    };
    return await soon(take(), "a client dials");
  }

  /** The next client, behind the upgrade and its HELLO. */
  async caller(): Promise<Caller> {
    const web = (await this.knock()).upgrade();
    const first = decodeHandshake(await web.nextOf(FRAME.hello));
    if (first.type !== "hello") throw new Error("no HELLO");
    return { web, hello: first.hello };
  }

  /** The next client, which gets a new session. */
  async session(changes: Partial<Welcome> = {}): Promise<RawPeer> {
    const { web, hello } = await this.caller();
    if (hello.resume !== undefined) throw new Error("the client wants to resume");
    web.send(encodeWelcome(welcomeOf({ secret: SECRET, ...changes })));
    return new RawPeer(web);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await soon(new Promise((resolve) => this.#server.close(resolve)), "the hostile server is closed");
  }

  /** Reads the head of a request; a client sends nothing behind it before it is answered. */
  #hear(socket: Socket): void {
    let head = "";
    const onData = (chunk: Buffer): void => {
      head += chunk.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      socket.off("data", onData);
      socket.pause();
      this.#knocks.push(new Knock(socket, head));
      this.#onKnock?.();
    };
    socket.on("data", onData);
  }
}

/** A right WELCOME, with `changes` laid over it. */
export function welcomeOf(changes: Partial<Welcome> = {}): Welcome {
  const { maxStreams, maxPendingOpens, maxTunnels, initialWindowBytes, replayLimitBytes } = SESSION_DEFAULTS;
  return {
    version: 1,
    session: "hostile.1",
    received: 0,
    agent: "hostile",
    limits: { maxStreams, maxPendingOpens, maxTunnels, initialWindowBytes, replayLimitBytes },
    keepalive: { intervalMs: 10_000, timeoutMs: 25_000 },
    graceMs: 120_000,
    ...changes,
  };
}
