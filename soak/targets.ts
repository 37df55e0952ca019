import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { resetSocket } from "@culvert/chaos";
import { type Conversation, HEADER_BYTES, numberIn } from "./conversation.ts";
import type { TargetKind } from "./script.ts";
import type { Mode } from "./tunnel-client.ts";

/** Nobody listens there: it needs rights that no test has. */
const CLOSED_PORT = 1;

/** A target that reads nothing gives up after this long. */
const DEAF_MS = 3_000;

/** A connection that arrived and has not said whose it is, or never did. */
export interface Stranger {
  readonly mode: Mode;
  readonly startedAt: number;
  /** The calm of its client at that time. */
  readonly calmMs: number;
  readonly socket: Socket;
  heard: Buffer;
  hasHeardEnd: boolean;
}

export interface TargetsOptions {
  /** The conversation of that number, if it is one of this mode. */
  find(id: number, mode: Mode): Conversation | undefined;
  calmMs(): number;
  /** A stranger left without a word that would say who it was. */
  onStranger(stranger: Stranger): void;
  fail(text: string): void;
}

/** Where the tunnels of one client lead: for each mode one target of each kind. */
export class Targets {
  readonly list: { readonly mode: Mode; readonly kind: TargetKind; readonly port: number }[] = [];
  readonly strangers = new Set<Stranger>();
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  #options: TargetsOptions | undefined;

  static async listen(modes: readonly Mode[]): Promise<Targets> {
    const targets = new Targets();
    for (const mode of modes) {
      targets.list.push({ mode, kind: "closed", port: CLOSED_PORT });
      await targets.#listen(mode, "talking", (socket) => targets.#receive(socket, mode));
      await targets.#listen(mode, "rude", resetSocket);
      await targets.#listen(mode, "deaf", (socket) => {
        const timer = setTimeout(() => resetSocket(socket), DEAF_MS);
        socket.once("close", () => clearTimeout(timer));
      });
    }
    return targets;
  }

  /** Must be called before the first connection comes. */
  serve(options: TargetsOptions): void {
    this.#options = options;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(
      this.#servers.map((server) => {
        server.close();
        return once(server, "close");
      }),
    );
  }

  async #listen(mode: Mode, kind: TargetKind, onSocket: (socket: Socket) => void): Promise<void> {
    const server = createServer(
      { allowHalfOpen: true, noDelay: true, pauseOnConnect: kind === "deaf" },
      (socket) => {
        this.#sockets.add(socket);
        socket.on("error", () => undefined);
        socket.once("close", () => this.#sockets.delete(socket));
        onSocket(socket);
      },
    );
    server.listen({ host: "127.0.0.1", port: 0, backlog: 1024 });
    await once(server, "listening");
    this.#servers.push(server);
    this.list.push({ mode, kind, port: (server.address() as AddressInfo).port });
  }

  #receive(socket: Socket, mode: Mode): void {
    const options = this.#options!;
    const stranger: Stranger = {
      mode,
      socket,
      startedAt: performance.now(),
      calmMs: options.calmMs(),
      heard: Buffer.alloc(0),
      hasHeardEnd: false,
    };
    this.strangers.add(stranger);
    const onData = (chunk: Buffer): void => {
      stranger.heard = Buffer.concat([stranger.heard, chunk]);
      if (stranger.heard.length < HEADER_BYTES) return;
      const id = numberIn(stranger.heard);
      const conversation = id === undefined ? undefined : options.find(id, mode);
      if (conversation === undefined || conversation.host !== undefined) {
        const what = stranger.heard.subarray(0, 32).toString("hex");
        options.fail(
          conversation === undefined
            ? `a target was reached by a connection that nobody made (${what}, number ${id})`
            : `the target of connection ${id} was dialed twice`,
        );
        resetSocket(socket);
        return;
      }
      socket.off("data", onData).off("end", onEnd).off("close", onClose);
      this.strangers.delete(stranger);
      conversation.join(socket, stranger.heard.subarray(HEADER_BYTES));
    };
    const onEnd = (): void => {
      stranger.hasHeardEnd = true;
      socket.end();
    };
    const onClose = (): void => {
      this.strangers.delete(stranger);
      options.onStranger(stranger);
    };
    socket.on("data", onData).on("end", onEnd).on("close", onClose);
  }
}
