import { EventEmitter, once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { ChaosConnection, type ConnectionInfo, SOCKET_BUFFER_BYTES } from "./chaos-connection.ts";
import type { ChaosEvents, ChaosLog, ChaosStats } from "./chaos-events.ts";
import { type ChaosProxyOptions, resolveOptions } from "./chaos-options.ts";
import type { ChaosPlan, ChaosStep } from "./chaos-plan.ts";
import { type ChaosReport, ChaosRun } from "./chaos-run.ts";
import { type CutAfterOptions, type CutOptions, CutRules, checkCut, checkCutAfter } from "./cut-rule.ts";
import type { Faults } from "./fault.ts";
import { FaultLayers } from "./fault-layers.ts";
import { Random } from "./random.ts";
import { Tally } from "./tally.ts";

/**
 * A TCP proxy that does to connections what networks and middleboxes do: cuts, stalls, black holes, delay, bottlenecks,
 * splitting, merging, corruption. Without a fault it forwards every byte, half-close and reset, at full speed and with
 * back pressure. Faults are per direction and can be changed at any time, for live and for future connections.
 *
 * @example
 * await using proxy = await ChaosProxy.start({ target: { host: "127.0.0.1", port: 9000 } });
 * proxy.set({ down: { delayMs: 100, jitterMs: 50 } });
 * proxy.cut({ how: "rst" });
 */
export class ChaosProxy extends EventEmitter<ChaosEvents> {
  /** Where it listens. */
  readonly host: string;
  /** The port that it listens on, never 0. */
  readonly port: number;
  /** Starting again with it draws the same numbers for the n-th connection. */
  readonly seed: number;
  readonly #server: Server;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #random: Random;
  readonly #log: ChaosLog;
  readonly #connections: Map<number, ChaosConnection> = new Map();
  readonly #cutRules: CutRules = new CutRules();
  readonly #tally: Tally = new Tally();
  readonly #closing: AbortController = new AbortController();
  readonly #faults: FaultLayers = new FaultLayers();
  #admission: "pass" | "refuse" | "stall" = "pass";
  #planRefuses = false;
  #run: Promise<ChaosReport> | undefined;
  #closed: Promise<void> | undefined;

  private constructor(server: Server, options: Required<ChaosProxyOptions>) {
    super();
    const address = server.address() as AddressInfo;
    this.host = address.address;
    this.port = address.port;
    this.seed = options.seed;
    this.#random = new Random(options.seed);
    this.#server = server;
    this.#target = options.target;
    this.#log = options.log;
    server.on("connection", (socket: Socket) => this.#accept(socket));
    // After it listens only accept() can fail, for want of descriptors; the next one is tried anyway.
    server.on("error", (error) => this.#log.debug({ err: error }, "accept failed"));
  }

  /**
   * Listens. The target is dialed only when a connection comes, so it need not be there yet.
   * @throws TypeError or RangeError for a bad option; the system's error if it cannot listen.
   */
  static async start(options: ChaosProxyOptions): Promise<ChaosProxy> {
    const resolved = resolveOptions(options);
    const server = createServer({
      allowHalfOpen: true,
      pauseOnConnect: true,
      noDelay: true,
      highWaterMark: SOCKET_BUFFER_BYTES,
    });
    server.listen(resolved.port, resolved.host);
    await once(server, "listening");
    const proxy = new ChaosProxy(server, resolved);
    resolved.log.debug(
      { port: proxy.port, target: resolved.target, seed: proxy.seed },
      "chaos proxy listens",
    );
    return proxy;
  }

  /** Snapshots of the live connections (neither cut nor closed), in the order of their arrival. */
  get connections(): ConnectionInfo[] {
    return this.#live().map((connection) => connection.info);
  }

  /** The faults in force now. */
  get faults(): Required<Faults> {
    return this.#faults.inForce;
  }

  /**
   * Puts a fault on one or both directions of all live and future connections; a direction that is left out keeps its
   * own. While paused or in a plan's step it takes effect afterwards.
   * @throws TypeError or RangeError naming a bad option; nothing is changed then.
   */
  set(faults: Faults): void {
    this.#faults.set(faults);
    this.#apply();
  }

  /** Stalls both directions, over whatever is set, and loses nothing. */
  pause(): void {
    this.#faults.isPaused = true;
    this.#apply();
  }

  /** Ends {@link pause}. */
  resume(): void {
    this.#faults.isPaused = false;
    this.#apply();
  }

  /**
   * Cuts live connections now; what waits in the proxy is lost. Returns how many were cut.
   * @throws TypeError for a bad option.
   */
  cut(options: CutOptions): number {
    checkCut(options);
    const chosen = this.#live().filter(({ id }) => typeof options.which !== "number" || id === options.which);
    return chosen.filter((connection) => connection.cut(options.how)).length;
  }

  /**
   * Cuts connections after an exact number of forwarded bytes, that is in the middle of whatever they carry. A live
   * connection remembers only the last such call of a direction.
   * With "fin" the other end gets exactly these bytes. With "rst" it does too if it keeps reading (the reset waits up
   * to 1 s for that, on Linux); a reset throws away what the kernel still holds for a reader that does not.
   * @throws TypeError or RangeError for a bad option.
   */
  cutAfter(options: CutAfterOptions): void {
    checkCutAfter(options);
    const which = options.which ?? "next";
    if (which === "next" || which === "each") {
      this.#cutRules.add(options);
      return;
    }
    for (const connection of this.#live()) {
      if (which === "live" || connection.id === which) {
        connection.cutAfter(options.direction, options.bytes, options.how);
      }
    }
  }

  /** Forgets each {@link cutAfter} that has not happened, or only what was asked of one live connection. */
  cancelCuts(options: { readonly which?: number } = {}): void {
    if (options.which === undefined) this.#cutRules.clear();
    for (const connection of this.#live()) {
      if (options.which === undefined || connection.id === options.which) connection.cancelCut();
    }
  }

  /** Resets each new connection at once, or stops doing so. Takes the place of {@link acceptAndStall}. */
  refuse(on = true): void {
    if (on) this.#admit("refuse");
    else if (this.#admission === "refuse") this.#admit("pass");
  }

  /**
   * Accepts new connections and does nothing with them, or stops doing so: those that wait are then carried to the
   * target. Takes the place of {@link refuse}.
   */
  acceptAndStall(on = true): void {
    if (on) this.#admit("stall");
    else if (this.#admission === "stall") this.#admit("pass");
  }

  /**
   * Runs a plan, one step after the other, and returns what it did. The plan's faults lie over what is set and are
   * gone afterwards. An abort, or {@link close}, ends it early: the promise still resolves, with what was done so far.
   * @throws Error if a plan is running; RangeError or TypeError, before anything is done, for a bad step.
   */
  async run(plan: ChaosPlan | readonly ChaosStep[], signal?: AbortSignal): Promise<ChaosReport> {
    if (this.#run !== undefined) throw new Error("a plan is running already");
    const signals = signal === undefined ? [this.#closing.signal] : [this.#closing.signal, signal];
    const run = new ChaosRun(plan, {
      proxy: this,
      log: this.#log,
      impose: (faults, refuses) => this.#impose(faults, refuses),
      cutBroken: () => this.#cutBroken(),
    });
    this.#run = run.start(AbortSignal.any(signals));
    try {
      return await this.#run;
    } finally {
      this.#run = undefined;
    }
  }

  /** What was done since the start. */
  stats(): ChaosStats {
    const all = [...this.#connections.values()].map((connection) => connection.info);
    return this.#tally.stats(all, this.#live().length);
  }

  /** Stops listening and destroys every socket. Resolves when none is left; may be called again, and at any time. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    const over = [...this.#connections.values()].map((connection) => {
      connection.destroy();
      return connection.closed;
    });
    // Refused sockets are the server's alone, and it waits for them.
    await Promise.all([
      ...over,
      new Promise<void>((resolve) => this.#server.close(() => resolve())),
      this.#run,
    ]);
    this.#log.debug({ port: this.port }, "chaos proxy closed");
  }

  #accept(near: Socket): void {
    if (this.#closed !== undefined) {
      near.destroy();
      return;
    }
    if (this.#admission === "refuse" || this.#planRefuses) {
      near.on("error", () => {});
      near.resetAndDestroy();
      this.#tally.refused++;
      this.emit("refused");
      return;
    }
    const id = ++this.#tally.accepted;
    const connection: ChaosConnection = new ChaosConnection({
      id,
      near,
      target: this.#target,
      faults: this.#faults.resolved,
      random: this.#random.derive(id),
      events: {
        onOpen: () => this.emit("open", connection.info),
        onDialFailed: (error) => {
          this.#tally.dialFailed++;
          this.#log.debug({ id, err: error }, "target not reached");
          this.emit("dialFailed", connection.info, error);
        },
        onCut: (how, cause) => {
          this.#tally.cuts[how]++;
          const { info } = connection;
          this.#log.debug({ id, how, cause, up: info.up, down: info.down }, "connection cut");
          this.emit("cut", { how, cause, connection: info });
        },
        onClosed: () => {
          this.#connections.delete(id);
          this.#tally.add(connection.info);
          this.emit("connectionClosed", connection.info);
        },
      },
    });
    this.#connections.set(id, connection);
    const rule = this.#cutRules.take();
    if (rule !== undefined) connection.cutAfter(rule.direction, rule.bytes, rule.how);
    if (this.#admission !== "stall") connection.dial();
    this.emit("connection", connection.info);
  }

  #live(): ChaosConnection[] {
    return [...this.#connections.values()].filter(({ state }) => state !== "cut" && state !== "closed");
  }

  #admit(admission: "pass" | "refuse" | "stall"): void {
    this.#admission = admission;
    if (admission !== "pass") return;
    for (const connection of this.#live()) connection.dial();
  }

  #impose(faults: Faults, refuses: boolean): void {
    this.#faults.impose(faults);
    this.#planRefuses = refuses;
    this.#apply();
  }

  #cutBroken(): void {
    for (const connection of this.#live()) {
      if (connection.isBroken) connection.cut("rst");
    }
  }

  #apply(): void {
    const { up, down } = this.#faults.resolved;
    for (const connection of this.#live()) {
      connection.setFault("up", up);
      connection.setFault("down", down);
    }
    this.emit("faults", this.faults);
  }
}
