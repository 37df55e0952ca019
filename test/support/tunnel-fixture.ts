import { ChaosProxy } from "@culvert/chaos";
import { Client, type ClientOptions, CONNECT, LISTEN, type Mode, type Tunnel } from "@culvert/client";
import { Server, type ServerOptions } from "@culvert/server";
import { until } from "./deadline.ts";
import { freePort } from "./free-port.ts";
import { LogRecorder } from "./log-recorder.ts";
import { SessionWatch } from "./session-watch.ts";
import { StateWatch } from "./state-watch.ts";

/** A ladder for tests that wait for it. */
export const QUICK_RETRY = { baseMs: 20, capMs: 50, resumableCapMs: 50 } as const;

/** Both modes, for `describe.each`. */
export const MODES: readonly Mode[] = [CONNECT, LISTEN];

export interface FixtureOptions {
  readonly server?: ServerOptions;
  readonly client?: Partial<ClientOptions>;
  /** Puts the chaos proxy, with this seed, between client and server. */
  readonly seed?: number;
}

let count = 0;

/** A server, a client and, on request, a chaos proxy between them; all on loopback, all on free ports. */
export class TunnelFixture implements AsyncDisposable {
  readonly server: Server;
  readonly client: Client;
  readonly states: StateWatch;
  /** The server's view of the same. */
  readonly served: SessionWatch;
  readonly serverLog: LogRecorder;
  readonly clientLog: LogRecorder;
  readonly #proxy: ChaosProxy | undefined;

  private constructor(
    server: Server,
    serverLog: LogRecorder,
    proxy: ChaosProxy | undefined,
    options: Partial<ClientOptions>,
  ) {
    this.server = server;
    this.served = new SessionWatch(server);
    this.serverLog = serverLog;
    this.#proxy = proxy;
    this.clientLog = new LogRecorder();
    count += 1;
    this.client = new Client({
      server:
        proxy === undefined ? urlOf(server) : `${new URL(urlOf(server)).protocol}//127.0.0.1:${proxy.port}/`,
      name: `fixture ${count}`,
      retry: QUICK_RETRY,
      drainMs: 0,
      logger: this.clientLog.logger,
      ...options,
    });
    this.states = new StateWatch(this.client);
  }

  /** Everything is started, the client's session is open, and the server knows that the client knows. */
  static async start(options: FixtureOptions = {}): Promise<TunnelFixture> {
    const fixture = await TunnelFixture.prepare(options);
    await fixture.client.start();
    // Until the client's first frame came a session ends with its transport; a pong shows that it did.
    const isProven = (): boolean => fixture.client.stats().session?.link.rttMs !== undefined;
    await until(isProven, "the session is proven");
    return fixture;
  }

  /** As `start`, but the client is not started. */
  static async prepare({ server: serverOptions, client, seed }: FixtureOptions = {}): Promise<TunnelFixture> {
    const log = new LogRecorder();
    // Ports that nobody else is given: a client goes on dialing when the server is gone.
    const server = new Server({ port: await freePort(), drainMs: 0, logger: log.logger, ...serverOptions });
    await server.start();
    const port = server.address?.port ?? 0;
    const target = { host: "127.0.0.1", port };
    const proxy =
      seed === undefined ? undefined : await ChaosProxy.start({ target, seed, port: await freePort() });
    return new TunnelFixture(server, log, proxy, client ?? {});
  }

  get proxy(): ChaosProxy {
    if (this.#proxy === undefined) throw new Error("no seed was given, so there is no proxy");
    return this.#proxy;
  }

  /** A tunnel to `connect` that listens on a free port of loopback, or where it is told to. */
  open(mode: Mode, connect: string, listen = "127.0.0.1:0"): Promise<Tunnel> {
    return this.client.openTunnel({ mode, listen, connect });
  }

  /** Takes the link away until `restore`: live transports are reset, and new ones too. Both sides know it then. */
  async takeAway(): Promise<void> {
    const [before, servedBefore] = [this.states.times("detached"), this.served.times("detached")];
    this.proxy.refuse();
    this.proxy.cut({ how: "rst" });
    await this.states.entered("detached", before + 1);
    await this.served.entered("detached", servedBefore + 1);
  }

  /** Gives the link back. The session goes on then, or another one has begun. */
  async restore(): Promise<void> {
    this.proxy.refuse(false);
    await this.states.reaches("open");
  }

  /** How often the session went on over another transport. */
  get resumes(): number {
    return this.client.stats().session?.link.resumes ?? 0;
  }

  /** Sessions that were made since the start; more than one: something was lost. */
  get sessions(): number {
    return this.client.stats().sessions;
  }

  /** Resolves when neither side has a stream any more. */
  async quiet(): Promise<void> {
    const streams = (): number =>
      this.server.stats().streams + (this.client.stats().session?.link.streams ?? 0);
    await until(() => streams() === 0, "there are no streams");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A farewell that cannot arrive would take its whole bound.
    this.#proxy?.set({ up: "pass", down: "pass" });
    this.#proxy?.resume();
    this.#proxy?.refuse(false);
    this.#proxy?.cancelCuts();
    await this.client.close({ drainMs: 0 });
    await this.server.close({ drainMs: 0 });
    await this.#proxy?.close();
  }
}

/** What a client is given to reach that server. */
export function urlOf(server: Server): string {
  if (server.address === undefined) throw new Error("the server does not listen");
  return server.address.url;
}
