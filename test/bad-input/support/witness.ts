import { randomBytes } from "node:crypto";
import { Client } from "@culvert/client";
import { expect } from "vitest";
import { Service } from "../../support/service.ts";
import { WireEnd } from "../../support/wire-end.ts";

/** Enough for a few frames in each direction. */
const TEXT_BYTES = 16 * 1024;

/** An honest client with one connection that goes on all the time: what is done to others must not disturb it. */
export class Witness implements AsyncDisposable {
  readonly #client: Client;
  readonly #service: Service;
  readonly #visitor: WireEnd;

  private constructor(client: Client, service: Service, visitor: WireEnd) {
    this.#client = client;
    this.#service = service;
    this.#visitor = visitor;
  }

  static async start(server: string): Promise<Witness> {
    const service = await Service.echo();
    const tunnel = { mode: "connect", listen: "127.0.0.1:0", connect: service.address } as const;
    const client = new Client({ server, name: "witness", drainMs: 0, tunnels: [tunnel] });
    await client.start();
    return new Witness(client, service, await WireEnd.connect(client.tunnels[0]?.address));
  }

  /** Its connection carries traffic while `act` runs, and afterwards. */
  async during(act: () => Promise<void>): Promise<void> {
    await Promise.all([act(), this.#converse()]);
    await this.#converse();
    expect(this.#client.stats()).toMatchObject({ state: "open", sessions: 1 });
    expect(this.#client.stats().session?.link.resumes).toBe(0);
  }

  async #converse(): Promise<void> {
    const text = randomBytes(TEXT_BYTES / 2).toString("hex");
    // Compared here: the whole text is nothing for a message.
    if ((await this.#visitor.ask(text)) !== text)
      throw new Error("the witness hears other bytes than it said");
    this.#visitor.chunks.length = 0;
    this.#visitor.received = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#visitor.reset();
    await this.#client.close({ drainMs: 0 });
    await this.#service[Symbol.asyncDispose]();
  }
}
