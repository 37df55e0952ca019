import type { Mode } from "@culvert/client";
import type { ServerAddress } from "@culvert/server";
import { expect } from "vitest";
import { soon, until } from "../../support/deadline.ts";
import { Forked } from "../../support/forked.ts";
import { SeededSink } from "../../support/seeded-sink.ts";
import { SeededSource } from "../../support/seeded-source.ts";
import { Service } from "../../support/service.ts";
import { MODES } from "../../support/tunnel-fixture.ts";
import { WireEnd } from "../../support/wire-end.ts";

export interface CarryingOptions {
  readonly session?: object;
  /** The files of the processes, as `Forked` finds them. */
  readonly serverFile?: string;
  readonly clientFile?: string;
}

/**
 * A server and a client in processes of their own, and through each mode a visitor who sends without end and gets it
 * back: for faults of processes and not of links.
 */
export class CarryingProcesses implements AsyncDisposable {
  readonly server: Forked;
  readonly client: Forked;
  readonly #service: Service;
  readonly #talks: readonly {
    readonly source: SeededSource;
    readonly sink: SeededSink;
    readonly end: WireEnd;
  }[];

  private constructor(server: Forked, client: Forked, service: Service, visitors: readonly WireEnd[]) {
    this.server = server;
    this.client = client;
    this.#service = service;
    this.#talks = visitors.map((end, seed) => {
      end.keepsNothing();
      return { end, sink: new SeededSink(end.socket, seed), source: new SeededSource(end.socket, seed) };
    });
  }

  /** Resolves when bytes have come back through each mode. */
  static async start(options: CarryingOptions = {}): Promise<CarryingProcesses> {
    const { session = {}, serverFile = "server-process.ts", clientFile = "client-process.ts" } = options;
    const service = await Service.echo();
    const server = Forked.start(serverFile, { port: 0, session });
    const { url } = await server.ask<ServerAddress>("start");
    const tunnels = MODES.map((mode: Mode) => ({ mode, listen: "127.0.0.1:0", connect: service.address }));
    const client = Forked.start(clientFile, { server: url, session, tunnels });
    const addresses = await client.ask<string[]>("start");
    const visitors = await Promise.all(addresses.map((address) => WireEnd.connect(address)));
    const carrying = new CarryingProcesses(server, client, service, visitors);
    await carrying.moves();
    return carrying;
  }

  /** Resolves when each visitor got something back that it did not have before. */
  async moves(patienceMs?: number): Promise<void> {
    const before = this.#talks.map(({ sink }) => sink.received);
    const hasMoved = (): boolean => this.#talks.every(({ sink }, n) => sink.received > (before[n] ?? 0));
    await until(hasMoved, "every connection goes on", patienceMs);
  }

  /** The causes with which either side lost a transport, the client's first. */
  async detachments(): Promise<readonly (readonly string[])[]> {
    return [await this.client.ask("detachments"), await this.server.ask("detachments")];
  }

  /** Ends the talks in good order: each byte came back once and in order. */
  async settle(patienceMs = 30_000): Promise<void> {
    for (const { source } of this.#talks) source.stop();
    for (const { source, sink, end } of this.#talks) {
      expect(await soon(sink.whole, "the end of the talk", patienceMs)).toBe(await source.done);
      expect(await end.closed()).toBe("end");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { end } of this.#talks) end.socket.destroy();
    await this.client[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    await this.#service[Symbol.asyncDispose]();
  }
}
