import { Server, type ServerOptions } from "@culvert/server";
import { soon } from "../../support/deadline.ts";
import { urlOf } from "../../support/tunnel-fixture.ts";
import { Witness } from "./witness.ts";

/** A running server, what is sent to it, and somebody beside it who must not notice. */
export class Siege implements AsyncDisposable {
  readonly server: Server;
  readonly witness: Witness;

  private constructor(server: Server, witness: Witness) {
    this.server = server;
    this.witness = witness;
  }

  static async start(options: ServerOptions = {}): Promise<Siege> {
    const server = new Server({ port: 0, drainMs: 0, maxUpgradesPerSecond: 1_000_000, ...options });
    await server.start();
    return new Siege(server, await Witness.start(urlOf(server)));
  }

  get port(): number {
    return this.server.address?.port ?? 0;
  }

  /** The states of the sessions that are not the witness's. */
  get others(): readonly string[] {
    const others = this.server.sessions().filter(({ name }) => name !== "witness");
    return others.map(({ state }) => state);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.witness[Symbol.asyncDispose]();
    await soon(this.server.close(), "the server is closed");
  }
}
