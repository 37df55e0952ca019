import { Client, CONNECT, LISTEN } from "@culvert/client";
import { ERRORS, type ErrorCode, type SessionOptions } from "@culvert/protocol";
import { expect } from "vitest";
import {
  encodeAccept,
  encodeData,
  encodeOpen,
  encodeTunnelReady,
  FRAME,
} from "../../../packages/protocol/src/frame.ts";
import { Service } from "../../support/service.ts";
import { QUICK_RETRY } from "../../support/tunnel-fixture.ts";
import { WireEnd } from "../../support/wire-end.ts";
import { HostileServer } from "./hostile-server.ts";
import type { RawPeer } from "./raw-peer.ts";

/** One session of a client with a server that breaks the rules, in the midst of its work. */
export interface Scene {
  /**
   * The server's end: stream 1 of the client is open, 3 asked and not answered; stream 2 of the server is open, to the
   * client's own target, through tunnel 1, which is ready.
   */
  readonly peer: RawPeer;
  /** The visitors of streams 1 and 3. */
  readonly visitors: readonly [WireEnd, WireEnd];
}

/** What the client announces. */
export const CLIENT_LIMITS: Partial<SessionOptions> = { maxStreams: 12, maxPendingOpens: 6 };

/** A running client, and the hostile server that it belongs to; a new session whenever one was ended. */
export class ClientScene implements AsyncDisposable {
  readonly client: Client;
  readonly hostile: HostileServer;
  /** Where the client's LISTEN tunnel dials. */
  readonly target: Service;
  #isStarted = false;

  private constructor(client: Client, hostile: HostileServer, target: Service) {
    this.client = client;
    this.hostile = hostile;
    this.target = target;
  }

  static async start(): Promise<ClientScene> {
    const hostile = await HostileServer.start();
    const target = await Service.echo();
    const client = new Client({
      server: hostile.url,
      name: "besieged",
      drainMs: 0,
      retry: QUICK_RETRY,
      session: CLIENT_LIMITS,
      tunnels: [
        { mode: CONNECT, listen: "127.0.0.1:0", connect: "target.example:80" },
        { mode: LISTEN, listen: "127.0.0.1:0", connect: target.address },
      ],
    });
    return new ClientScene(client, hostile, target);
  }

  /** Waits for the client's next session and sets the scene. */
  async set(): Promise<Scene> {
    const started = this.#isStarted ? Promise.resolve() : this.client.start();
    this.#isStarted = true;
    const peer = await this.hostile.session();
    await peer.frame(FRAME.tunnelOpen);
    peer.send(encodeTunnelReady(1, "tcp://127.0.0.1:4711"));
    await started;
    const { address } = this.client.tunnels[0] ?? {};
    const one = await WireEnd.connect(address);
    await peer.frame(FRAME.open);
    peer.send(encodeAccept(1));
    const three = await WireEnd.connect(address);
    await peer.frame(FRAME.open);
    peer.send(encodeOpen(2, { kind: "tcp", tunnelId: 1 }));
    await peer.frame(FRAME.accept);
    return { peer, visitors: [one, three] };
  }

  /** The session goes on: the client answers, and both of its streams carry bytes. */
  async mustGoOn({ peer, visitors: [visitor] }: Scene): Promise<void> {
    await peer.answers();
    peer.send(encodeOpen(900, { kind: "tcp", tunnelId: 1 }));
    await peer.frame(FRAME.accept);
    peer.send(encodeData(900, 0, new TextEncoder().encode("echo")));
    expect((await peer.frame(FRAME.data)).subarray(11).toString()).toBe("echo");
    visitor.socket.write("up");
    expect((await peer.frame(FRAME.data)).subarray(11).toString()).toBe("up");
    peer.send(Uint8Array.of(FRAME.close, 0, 0));
    await peer.farewell();
  }

  /** The session has ended with that code, the visitors are reset, and nothing is left of it. */
  async mustEnd({ peer, visitors }: Scene, code: ErrorCode): Promise<void> {
    expect(await peer.farewell()).toEqual({ code, close: ERRORS[code].close });
    for (const visitor of visitors) expect(await visitor.closed()).toBe("ECONNRESET");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close({ drainMs: 0 });
    await this.hostile[Symbol.asyncDispose]();
    await this.target[Symbol.asyncDispose]();
  }
}
