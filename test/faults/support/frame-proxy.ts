import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Direction } from "@culvert/chaos";
import { soon } from "../../support/deadline.ts";
import { FrameLane, type FrameMark, type FrameType, type FrameVerdict } from "./frame-lane.ts";

/** Where a connection is cut: at the n-th frame of a type in one direction, counted from the call on. */
export interface FrameCut {
  readonly direction: Direction;
  readonly type: FrameType;
  /** From 1, which is the default. */
  readonly nth?: number;
  /** Only frames with at least so much payload count; default any. */
  readonly minBytes?: number;
  /** How many bytes of the frame still pass; default all. 0: it is lost whole. */
  readonly bytes?: number;
}

/**
 * A TCP proxy between client and server that knows WebSocket messages and the types of frames, so that a connection can
 * be cut at a frame of a certain type. What is before the cut arrives, with an end behind it; who sent what is behind
 * the cut is reset.
 */
export class FrameProxy implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #serverPort: number;
  readonly #sockets = new Set<Socket>();
  readonly #counts = new Map<string, number>();
  #rules: readonly FrameCut[] = [];
  /** Frames that fit the first rule. */
  #seen = 0;
  #cuts = 0;

  private constructor(server: Server, serverPort: number) {
    this.#server = server;
    this.#serverPort = serverPort;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (near) => this.#carry(near));
  }

  static async start(serverPort: number): Promise<FrameProxy> {
    const server = createServer({ noDelay: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new FrameProxy(server, serverPort);
  }

  /** Connections that were cut so far. */
  get cuts(): number {
    return this.#cuts;
  }

  /** Cuts once for each rule, one after the other: each at the next frame that fits it. */
  cutAt(...rules: readonly FrameCut[]): void {
    this.#rules = rules;
    this.#seen = 0;
  }

  /** Frames of that type which came by, be they whole or not. */
  count(direction: Direction, type: FrameType): number {
    return this.#counts.get(`${direction} ${type}`) ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await soon(new Promise((resolve) => this.#server.close(resolve)), "the frame proxy is closed");
  }

  #carry(near: Socket): void {
    const far = connect({ port: this.#serverPort, host: "127.0.0.1", noDelay: true });
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => {
        this.#sockets.delete(socket);
        near.destroySoon();
        far.destroySoon();
      });
    }
    const state = { isCut: false };
    this.#join("up", near, far, state);
    this.#join("down", far, near, state);
  }

  #join(direction: Direction, from: Socket, to: Socket, state: { isCut: boolean }): void {
    const lane = new FrameLane((mark) => this.#judge(direction, mark));
    from.on("data", (chunk: Buffer) => {
      if (state.isCut || to.destroyed) return;
      const { pass, cut } = lane.take(chunk);
      if (cut) {
        state.isCut = true;
        this.#cuts += 1;
        to.end(pass);
        from.resetAndDestroy();
      } else if (!to.write(pass)) {
        from.pause();
        to.once("drain", () => from.resume());
      }
    });
  }

  #judge(direction: Direction, { type, bytes, payloadBytes }: FrameMark): FrameVerdict {
    if (type === undefined) return undefined;
    const key = `${direction} ${type}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    const [rule, ...others] = this.#rules;
    if (rule === undefined || rule.direction !== direction || rule.type !== type) return undefined;
    if (payloadBytes < (rule.minBytes ?? 0)) return undefined;
    this.#seen += 1;
    if (this.#seen < (rule.nth ?? 1)) return undefined;
    this.cutAt(...others);
    return rule.bytes ?? bytes;
  }
}
