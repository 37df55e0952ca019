import type { Socket } from "node:net";
import { until } from "../../support/deadline.ts";
import { dial, Service } from "./sockets.ts";
import { type ModeFlag, TunnelRig, type TunnelRigOptions } from "./tunnel-rig.ts";

/** The two ends of one carried connection. */
export interface CarriedPair {
  readonly visitor: Socket;
  readonly service: Socket;
}

/** Makes carried connections of which a test holds both ends. `await using` ends all of them. */
export class CarriedPairs implements AsyncDisposable {
  readonly rig: TunnelRig;
  readonly #service: Service;
  readonly #arrived: Socket[];
  readonly #visitors: Socket[] = [];

  private constructor(rig: TunnelRig, service: Service, arrived: Socket[]) {
    this.rig = rig;
    this.#service = service;
    this.#arrived = arrived;
  }

  static async open(mode: ModeFlag, options?: TunnelRigOptions): Promise<CarriedPairs> {
    const arrived: Socket[] = [];
    const service = await Service.start((socket) => arrived.push(socket));
    return new CarriedPairs(await TunnelRig.open(mode, service.port, options), service, arrived);
  }

  /** One at a time: who arrives next is the one who dialed. */
  async connect(): Promise<CarriedPair> {
    const visitor = await dial(this.rig.port);
    this.#visitors.push(visitor);
    return { visitor, service: await until(() => this.#arrived.shift(), "the target is dialed") };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const visitor of this.#visitors) visitor.destroy();
    await this.rig[Symbol.asyncDispose]();
    await this.#service[Symbol.asyncDispose]();
  }
}

/** What a socket went through until it closed. */
export interface Story {
  /** "end" and codes of errors, in order. */
  readonly events: readonly string[];
  readonly bytes: number;
}

/** Reads, and resolves when the socket is closed. */
export async function storyOf(socket: Socket): Promise<Story> {
  const events: string[] = [];
  let bytes = 0;
  socket.on("data", (piece: Buffer) => {
    bytes += piece.length;
  });
  socket.on("end", () => events.push("end"));
  socket.on("error", (error: NodeJS.ErrnoException) => events.push(error.code ?? error.message));
  await new Promise((resolve) => socket.once("close", resolve));
  return { events, bytes };
}
