import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { Bottleneck } from "./bottleneck.ts";
import { Lane } from "./lane.ts";
import { Loss } from "./loss.ts";

/** A way through the link: who connects to `listen` comes out at `to`. */
export interface LinkWay {
  readonly listen: { readonly host: string; readonly port: number };
  readonly to: { readonly host: string; readonly port: number };
}

export interface LinkOptions {
  readonly ways: readonly LinkWay[];
  /** Each way. */
  readonly delayMs: number;
  readonly bytesPerSecond: number;
  /** Share of packets of 1,460 bytes that come a round trip late, and all that follow them on their connection too. */
  readonly lossRate: number;
  readonly seed: number;
}

/**
 * A link with distance and a rate, for TCP: each direction has one queue for all connections, each connection begins
 * with a round trip, and a lost packet holds back what follows on its connection and on no other. Not emulated: slow start,
 * congestion control and the limits of kernel buffers, so that every peer gets the best TCP there could be.
 */
export class Link {
  readonly #options: LinkOptions;
  readonly #servers: Server[] = [];
  readonly #connections = new Set<() => void>();
  readonly #up: Direction;
  readonly #down: Direction;

  private constructor(options: LinkOptions) {
    this.#options = options;
    this.#up = directionOf(options, options.seed);
    this.#down = directionOf(options, options.seed + 1);
  }

  static async start(options: LinkOptions): Promise<Link> {
    const link = new Link(options);
    for (const way of options.ways) {
      const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) =>
        link.#carry(near, way.to),
      );
      server.listen({ ...way.listen, backlog: 4096 });
      await once(server, "listening");
      link.#servers.push(server);
    }
    return link;
  }

  /** Resets every connection; returns how many there were. New ones are carried as before. */
  cut(): number {
    const cuts = [...this.#connections];
    for (const cut of cuts) cut();
    return cuts.length;
  }

  #carry(near: Socket, to: LinkWay["to"]): void {
    const { delayMs, bytesPerSecond } = this.#options;
    const acceptedAt = performance.now();
    // Twice what fits on the way there and back, and some for the reader's turn.
    const maxBytes = (bytesPerSecond * delayMs * 4) / 1000 + 4 * 2 ** 20;
    const shared = { delayMs, maxBytes };
    // The SYN goes there and the SYN-ACK back before the first byte leaves.
    const up = new Lane(near, { ...shared, ...this.#up, opensAt: acceptedAt + 2 * delayMs });
    near.on("error", () => undefined);
    let far: Socket | undefined;
    let down: Lane | undefined;
    const over = (): void => {
      if (!near.closed || (far !== undefined && !far.closed)) return;
      clearTimeout(dial);
      up.close();
      down?.close();
      this.#connections.delete(cut);
    };
    const cut = (): void => {
      near.resetAndDestroy();
      far?.resetAndDestroy();
    };
    this.#connections.add(cut);
    near.once("close", over);
    const dial = setTimeout(() => {
      const socket = connect({ ...to, noDelay: true, allowHalfOpen: true });
      far = socket;
      socket.on("error", () => undefined);
      socket.once("connect", () => {
        down = new Lane(socket, { ...shared, ...this.#down, opensAt: 0 });
        down.deliverTo(near);
        up.deliverTo(socket);
      });
      socket.once("close", () => {
        if (down === undefined) near.resetAndDestroy(); // nobody listens there
        over();
      });
    }, delayMs);
  }
}

interface Direction {
  readonly bottleneck: Bottleneck;
  readonly loss: Loss;
}

function directionOf({ bytesPerSecond, lossRate }: LinkOptions, seed: number): Direction {
  return { bottleneck: new Bottleneck(bytesPerSecond), loss: new Loss(lossRate, seed) };
}
