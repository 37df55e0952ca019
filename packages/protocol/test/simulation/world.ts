import {
  CulvertError,
  decodeHandshake,
  type ErrorCode,
  encodeHello,
  encodeReject,
  encodeWelcome,
  type IncomingStream,
  proofInput,
  resolveSessionOptions,
  SessionBook,
  type SessionEvent,
  type SessionLimits,
  type SessionOptions,
} from "../../src/index.ts";
import { Agenda } from "./agenda.ts";
import { Random } from "./random.ts";
import { SimEnd } from "./sim-end.ts";
import { SimMemory } from "./sim-memory.ts";
import { connectionOf, SimStream } from "./sim-stream.ts";
import { SimWire, type WireShape } from "./sim-wire.ts";

/** What one seed went through, and what it may count for. */
export interface WorldReport {
  readonly seed: number;
  readonly streams: number;
  readonly frames: number;
  readonly cuts: number;
  readonly resumes: number;
  readonly replayed: number;
  readonly sawFullReplay: boolean;
  readonly sawEmptyWindow: boolean;
  readonly stalled: boolean;
  /** Why the session ended early, when the seed wanted that. */
  readonly endedBy: ErrorCode | undefined;
}

const SECRET = "s".repeat(43);
const INSTANCE = "0".repeat(32);
const KEEPALIVE = { intervalMs: 1, timeoutMs: 1 };
/** No honest wait in this world lasts longer (virtual ms); who is not done by then never will be. */
/** Why a stream may not even begin. */
const NOT_OPENED: ReadonlySet<ErrorCode> = new Set(["stream_limit", "resource_exhausted"]);

const PATIENCE_MS = 600_000;
const MOST_STEPS = 1_000_000;

/** Stands for the HMAC: a proof is right when it names exactly what it is made over. */
function prove(input: Uint8Array): string {
  let h = 0x811c9dc5;
  for (const b of input) h = Math.imul(h ^ b, 0x01000193) >>> 0;
  return h.toString(16).padStart(43, "0");
}

/**
 * Two sessions, a link that is cut again and again, and applications that open, write, end, reset, take and stall at
 * random. Everything follows from the seed. Throws on a wrong, lost or doubled byte, on a clean end where bytes are
 * missing, on a limit that is exceeded, on a violation between two honest ends, and when something never finishes.
 */
export class World {
  readonly #random: Random;
  readonly #agenda = new Agenda();
  readonly #seed: number;
  readonly #client: SimEnd;
  readonly #server: SimEnd;
  readonly #book: SessionBook<SimEnd>;
  readonly #apps: SimStream[] = [];
  readonly #openers = new Map<number, SimStream>();
  readonly #shape: WireShape;
  readonly #expires: boolean;
  readonly #closesEarly: boolean;
  readonly #stallsOne: boolean;
  readonly #graceMs: number;
  #connections = 0;
  #steps = 0;
  #attempt = 0;
  #cuts = 0;
  #resumes = 0;
  #dialing = false;
  #wires = 0;
  #isOver = false;
  #mayCut = true;
  #outageUntil = 0;
  #sawEmptyWindow = false;
  /** Wires that exist, with what each end knows of them. */
  #current: SimWire | undefined;
  readonly #tunnels = new Map<number, "asked" | "ready" | "closing">();

  constructor(seed: number) {
    this.#seed = seed;
    const random = new Random(seed);
    this.#random = random;
    this.#expires = random.chance(0.02);
    this.#closesEarly = !this.#expires && random.chance(0.03);
    this.#stallsOne = random.chance(0.3);
    this.#graceMs = this.#expires ? 3_000 : 1_000_000;
    this.#shape = {
      delayMs: random.pick([0, 1, 5, 20]),
      bytesPerMs: random.pick([20, 100, 1000, 10_000]),
      capacityBytes: random.pick([1, 500, 4_000]),
    };
    const clientOptions = this.#randomOptions();
    const serverOptions = this.#randomOptions();
    // Drawn apart, so that seeds from before there was a pool stay what they were.
    const shares = new Random(seed ^ 0x5bd1_e995);
    const memoryOf = (options: SessionOptions, salt: number): SimMemory | undefined =>
      shares.chance(0.4) ? new SimMemory(this.#agenda, options, seed * 2 + salt) : undefined;
    const memories = [memoryOf(clientOptions, 0), memoryOf(serverOptions, 1)];
    this.#client = new SimEnd(this.#agenda, 0, clientOptions, limitsOf(serverOptions), random, memories[0]);
    this.#server = new SimEnd(this.#agenda, 1, serverOptions, limitsOf(clientOptions), random, memories[1]);
    this.#book = new SessionBook<SimEnd>({
      verify: (_secret, input, proof) => prove(input) === proof,
      keepEndedMs: 1_000_000,
    });
    this.#book.add({
      id: "i.1",
      owner: "o",
      name: "n",
      instance: INSTANCE,
      secret: SECRET,
      link: this.#server,
    });
    for (const end of [this.#client, this.#server]) this.#wireUp(end);
  }

  #randomOptions(): SessionOptions {
    const r = this.#random;
    const initialWindowBytes = r.pick([1, 7, 64, 512]);
    const firstWindowBytes = Math.max(initialWindowBytes, r.pick([16, 200, 2_000]));
    return resolveSessionOptions({
      maxStreams: r.pick([1, 2, 5, 40]),
      maxPendingOpens: r.pick([1, 3, 40]),
      maxTunnels: 2,
      initialWindowBytes,
      firstWindowBytes,
      maxWindowBytes: firstWindowBytes * r.pick([1, 4]),
      // One byte a round trip is legal and takes for ever: no budget at all only where the initial window is something.
      receiveBudgetBytes: r.pick([initialWindowBytes < 64 ? 2_000 : 0, 300, 10_000]),
      replayLimitBytes: r.pick([1_024, 2_000, 20_000]),
      replayReserveBytes: r.pick([2_048, 3_000]),
      writeHighWaterBytes: r.pick([50, 1_000]),
      maxPayloadBytes: r.pick([16, 200, 65_536]),
      graceMs: this.#graceMs,
      visitorWaitMs: r.pick([2_000, 60_000]),
      maxWaitingOpens: r.pick([2, 40]),
      openTimeoutMs: r.pick([400, 8_000, 60_000]),
      pingIntervalMs: 300,
      silenceMs: 900,
      stallMs: 100_000,
      unusedWindowMs: r.pick([0, 1, 40, 5_000]),
    });
  }

  /** Runs the seed to its end. @throws Error that says what went wrong; the seed is in the message. */
  run(): WorldReport {
    try {
      this.#dial();
      this.#planOperations();
      this.#runUntil(() => this.#isOver, PATIENCE_MS);
      this.#finish();
    } catch (error) {
      throw new Error(`seed ${this.#seed}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
    return {
      seed: this.#seed,
      streams: this.#connections,
      frames: this.#client.framesSent + this.#server.framesSent,
      cuts: this.#cuts,
      resumes: this.#resumes,
      replayed: this.#client.session.counters.replayedFrames + this.#server.session.counters.replayedFrames,
      sawFullReplay: this.#client.sawFullReplay || this.#server.sawFullReplay,
      sawEmptyWindow: this.#sawEmptyWindow,
      stalled: this.#stallsOne,
      endedBy: this.#client.endedWith?.code,
    };
  }

  #runUntil(done: () => boolean, patience: number): void {
    const horizon = this.#agenda.now + patience;
    while (!done() && this.#agenda.step(horizon)) {
      this.#steps += 1;
      if (this.#steps > MOST_STEPS) throw new Error(`it goes round and round at ${this.#agenda.now}`);
    }
  }

  // -- the link

  #wireUp(end: SimEnd): void {
    end.onStream = (incoming) => this.#incoming(end, incoming);
    end.onTransportFailed = () => this.#noticeLoss(end);
    end.onTunnelEvent = (event) => this.#tunnelEvent(end, event);
    end.onIdle = () => this.#noteEmptyWindows(end);
    end.onEnded = () => {
      if (end === this.#server) this.#book.remove("i.1", end.endedWith?.code ?? "closed", this.#agenda.now);
      const expected: readonly ErrorCode[] = this.#expires
        ? ["session_expired", "session_unknown"]
        : this.#closesEarly
          ? ["closed", "session_unknown", "session_expired"]
          : [];
      const code = end.endedWith?.code;
      if (code === undefined || !expected.includes(code)) {
        throw new Error(`the ${end.side === 0 ? "client" : "server"} ended with ${end.endedWith?.message}`);
      }
    };
  }

  #dial(): void {
    if (this.#dialing || this.#client.session.state === "ended") return;
    this.#dialing = true;
    const pause = this.#random.chance(0.02) ? 12_000 : this.#random.pick([0, 1, 10, 30, 200]);
    const wait = Math.max(this.#outageUntil - this.#agenda.now, pause);
    this.#agenda.in(wait, () => {
      this.#dialing = false;
      if (this.#client.session.state === "detached") this.#handshake();
    });
  }

  /** HELLO and WELCOME over a new wire, each of which may be lost with it. */
  #handshake(): void {
    this.#wires += 1;
    const number = this.#wires;
    this.#attempt += 1;
    const attempt = this.#attempt;
    let clientReady = false;
    let serverReady = false;
    const wire: SimWire = new SimWire(this.#agenda, this.#shape, [
      {
        deliver: (m) => {
          if (clientReady) {
            this.#client.receive(number, m);
            return;
          }
          clientReady = true;
          this.#welcomed(wire, number, attempt, m);
        },
        onDrain: () => this.#client.wire === wire && this.#client.pump(),
      },
      {
        deliver: (m) => {
          if (serverReady) {
            this.#server.receive(number, m);
            return;
          }
          serverReady = true;
          this.#helloed(wire, number, m);
        },
        onDrain: () => this.#server.wire === wire && this.#server.pump(),
      },
    ]);
    this.#current = wire;
    this.#client.detach();
    const received = this.#client.session.received;
    wire.send(
      0,
      encodeHello({
        version: 1,
        instance: INSTANCE,
        name: "n",
        agent: "",
        limits: limitsOf(this.#client.options),
        keepalive: KEEPALIVE,
        resume: { session: "i.1", attempt, received, proof: prove(proofInput("i.1", attempt, received)) },
      }),
    );
    this.#planCut(wire);
    // The client's own deadline on the handshake.
    this.#agenda.in(1_500, () => {
      if (this.#client.session.state === "detached" && this.#attempt === attempt) this.#dial();
    });
  }

  #helloed(wire: SimWire, number: number, message: Uint8Array): void {
    const parsed = decodeHandshake(message);
    if (parsed.type !== "hello") throw new Error("the first message is no HELLO");
    const decision = this.#book.decide(parsed.hello, "o", this.#agenda.now);
    if (decision.kind === "reject") {
      wire.send(1, encodeReject({ code: decision.code }));
      return;
    }
    if (decision.kind !== "resume" || parsed.hello.resume === undefined)
      throw new Error("a resume became a new session");
    this.#server.detach();
    const received = this.#server.session.received;
    if (!this.#server.session.canResume(parsed.hello.resume.received))
      throw new Error("the resume has a gap");
    wire.send(
      1,
      encodeWelcome({
        version: 1,
        session: "i.1",
        received,
        agent: "",
        limits: limitsOf(this.#server.options),
        keepalive: KEEPALIVE,
        graceMs: this.#graceMs,
      }),
    );
    this.#server.attach(wire, number, parsed.hello.resume.received);
  }

  #welcomed(wire: SimWire, number: number, attempt: number, message: Uint8Array): void {
    if (attempt !== this.#attempt || this.#client.session.state !== "detached") return;
    const parsed = decodeHandshake(message);
    if (parsed.type === "reject") {
      if (parsed.reject.code === "session_unknown" && (this.#expires || this.#closesEarly)) {
        this.#client.session.close("session_unknown");
        this.#client.afterInput();
        return;
      }
      throw new Error(`the resume was refused with ${parsed.reject.code}`);
    }
    if (parsed.type !== "welcome") throw new Error("no WELCOME");
    if (!this.#client.session.canResume(parsed.welcome.received)) throw new Error("the resume has a gap");
    this.#resumes += 1;
    this.#client.attach(wire, number, parsed.welcome.received);
  }

  #planCut(wire: SimWire): void {
    if (!this.#mayCut) return;
    const after = this.#random.pick([0, 2, 20, 60, 150]) * (0.5 + this.#random.next());
    this.#agenda.in(after, () => this.#mayCut && this.#cut(wire));
  }

  #cut(wire: SimWire): void {
    if (wire.isCut) return;
    wire.cut(this.#random);
    this.#cuts += 1;
    if (this.#expires && this.#cuts > 3) this.#outageUntil = this.#agenda.now + 20_000;
    const silent = this.#random.chance(0.1);
    if (silent) return; // found by its silence, on each side for itself
    for (const end of [this.#client, this.#server]) {
      this.#agenda.in(this.#random.pick([0, 1, 50, 600]), () => {
        if (end.wire === wire) {
          end.detach();
          this.#noticeLoss(end);
        }
      });
    }
  }

  #noticeLoss(end: SimEnd): void {
    if (end === this.#client) this.#dial();
  }

  // -- the applications

  #planOperations(): void {
    const r = this.#random;
    const operations = r.int(70, 130);
    let at = 0;
    for (let i = 0; i < operations; i += 1) {
      at += r.pick([0, 0, 1, 5, 25, 60]);
      this.#agenda.at(at, () => this.#operate());
    }
    // The first few connections are certain.
    for (let i = 0; i < 4; i += 1) this.#agenda.at(r.int(0, at), () => this.#open());
    this.#agenda.at(at + 1, () => {
      if (this.#closesEarly) {
        const end = r.pick([this.#client, this.#server]);
        end.session.close("closed");
        end.afterInput();
      }
      this.#isOver = true;
    });
  }

  #operate(): void {
    const r = this.#random;
    const dice = r.next();
    if (dice < 0.12) this.#open();
    else if (dice < 0.14) this.#askTunnel();
    else if (dice < 0.16) {
      if (this.#current !== undefined && this.#mayCut) this.#cut(this.#current);
    } else this.#operateOnStream(dice);
  }

  #operateOnStream(dice: number): void {
    const r = this.#random;
    const live = this.#apps.filter((app) => app.isLive);
    if (live.length === 0) return;
    const app = r.pick(live);
    if (dice < 0.78) {
      if (!app.isPaused) app.write(r.pick([1, 3, 40, 300, 2_500]));
    } else if (dice < 0.88) app.end();
    else if (dice < 0.93) {
      // RESET may follow END: one side may have forgotten the stream then, and the other not.
      const ended = live.filter((it) => it.hasEnded);
      (ended.length > 0 && r.chance(0.6) ? r.pick(ended) : app).reset("connection_reset");
    } else if (dice < 0.96) r.pick([this.#client, this.#server]).session.note(`note ${dice}`);
    else for (let i = 0; i < 20; i += 1) if (!app.isPaused) app.write(1);
  }

  #open(): void {
    const end = this.#random.pick([this.#client, this.#server]);
    if (end.session.state === "ended") return;
    this.#connections += 1;
    const connection = this.#connections;
    const app = this.#app(connection, end.side);
    this.#openers.set(connection, app);
    try {
      app.stream = end.session.open({ kind: "tcp", visitor: `${connection}` }, app, this.#agenda.now);
    } catch (error) {
      if (!(error instanceof CulvertError && NOT_OPENED.has(error.code))) throw error;
      this.#apps.pop();
      this.#openers.delete(connection);
      return;
    }
    if (connection === 2 && this.#stallsOne && end === this.#client && this.#random.chance(0.5)) {
      // Exactly what a reader that never takes anything lets through: the END behind it needs no credit.
      app.write(this.#server.options.initialWindowBytes);
      app.end();
    }
    if (this.#random.chance(0.7)) app.write(this.#random.pick([1, 50, 700])); // data with the open
    if (this.#random.chance(0.1)) app.end();
    end.arm();
  }

  #app(connection: number, side: 0 | 1): SimStream {
    const stalls = this.#stallsOne && connection === 2 && side === 1;
    const app = new SimStream(connection, side, stalls, (it) => this.#got(it));
    this.#apps.push(app);
    return app;
  }

  #got(app: SimStream): void {
    const options = app.side === 0 ? this.#client.options : this.#server.options;
    if (app.unconsumed > Math.max(options.maxWindowBytes, options.initialWindowBytes)) {
      throw new Error(`connection ${app.connection}: ${app.unconsumed} bytes wait, more than any window`);
    }
    if (app.stalls) return;
    const wait = this.#random.pick([0, 0, 1, 30]);
    if (wait === 0) app.take(this.#random.chance(0.8) ? app.unconsumed : this.#random.int(1, app.unconsumed));
    this.#agenda.in(wait + 1, () => app.take(app.unconsumed));
  }

  #incoming(end: SimEnd, incoming: IncomingStream): void {
    const connection = connectionOf(incoming.request);
    const opener = this.#openers.get(connection);
    if (opener === undefined) throw new Error(`an OPEN for connection ${connection} that nobody made`);
    if (opener.peer !== undefined) throw new Error(`connection ${connection} was opened twice`);
    const app = this.#app(connection, end.side);
    app.peer = opener;
    opener.peer = app;
    const dice = this.#random.next();
    if (dice < 0.01) return; // never answers: the opener's deadline, or its patience, must do
    let cancelled = false;
    incoming.onCancelled = () => {
      cancelled = true;
      app.ending = "reset";
    };
    this.#agenda.in(this.#random.pick([0, 0, 3, 100]), () => {
      if (cancelled || end.session.state === "ended") return;
      if (dice < 0.12 || app.ending !== undefined) {
        app.ending = "gave up";
        incoming.refuse("target_refused");
      } else {
        app.stream = incoming.accept(app);
        if (this.#isOver) app.end();
      }
    });
  }

  // -- tunnels: the client asks, the server answers

  #askTunnel(): void {
    if (this.#client.session.state === "ended") return;
    const open = [...this.#tunnels].filter(([, state]) => state !== "closing");
    if (open.length > 0 && this.#random.chance(0.5)) {
      const [id] = this.#random.pick(open);
      this.#tunnels.set(id, "closing");
      this.#client.session.closeTunnel(id);
    } else if (this.#tunnels.size < 2)
      this.#tunnels.set(this.#client.session.requestTunnel("tcp://h:1", "t"), "asked");
  }

  #tunnelEvent(end: SimEnd, event: SessionEvent): void {
    const session = end.session;
    if (event.type === "tunnelOpen") {
      this.#agenda.in(this.#random.pick([0, 20]), () => {
        if (this.#random.chance(0.3)) session.tunnelClosed(event.tunnelId, "address_in_use");
        else session.tunnelReady(event.tunnelId, event.listen);
      });
    } else if (event.type === "tunnelClose") session.tunnelClosed(event.tunnelId, "closed");
    else if (event.type === "tunnelReady") {
      if (this.#tunnels.get(event.tunnelId) !== "asked") throw new Error("TUNNEL_READY out of turn");
      this.#tunnels.set(event.tunnelId, "ready");
    } else if (event.type === "tunnelClosed") {
      if (!this.#tunnels.delete(event.tunnelId)) throw new Error("TUNNEL_CLOSED twice");
    }
  }

  // -- the end: no more faults, everybody finishes

  #finish(): void {
    this.#mayCut = false;
    this.#eachMemory((memory) => memory.quiet());
    // A wire that died in silence is still to be found; after that everything is on its way again.
    if (this.#client.session.state === "detached") this.#dial();
    for (const app of this.#apps) if (app.isLive) app.end();
    this.#runUntil(() => this.#isQuiet() && this.#allDoneButStalled(), PATIENCE_MS);
    this.#checkTimeouts();
    this.#eachMemory((memory) => memory.check());
    if (this.#bothEnded()) {
      this.#checkAfterEnd();
      return;
    }
    if (this.#client.session.state === "ended" || this.#server.session.state === "ended") {
      this.#runUntil(() => this.#bothEnded(), 10 * PATIENCE_MS);
      if (!this.#bothEnded()) throw new Error("one end is over and the other does not know");
      this.#checkAfterEnd();
      return;
    }
    const stuck = this.#apps.filter((app) => !this.#isDone(app));
    if (stuck.length > 0) throw new Error(`never finished: ${stuck.map(describe).join("; ")}`);
    for (const app of this.#apps) if (app.ending === undefined) app.reset("cancelled");
    for (const app of this.#apps) app.take(app.unconsumed); // who stalled lets go, or its memory would stay taken
    this.#runUntil(() => this.#isEmpty(), PATIENCE_MS);
    if (!this.#isEmpty()) throw new Error(`left over: ${JSON.stringify(this.#leftOver())}`);
    for (const state of this.#tunnels.values())
      if (state !== "ready") throw new Error(`a tunnel is still ${state}`);
    this.#eachMemory((memory) => memory.checkReturned());
  }

  #eachMemory(each: (memory: SimMemory) => void): void {
    for (const { memory } of [this.#client, this.#server]) if (memory !== undefined) each(memory);
  }

  /** A writer has bytes left, the wire and the replay buffer have room: it can only wait for a window. */
  #noteEmptyWindows(end: SimEnd): void {
    if (this.#sawEmptyWindow || end.session.counters.replayBytes * 2 > end.options.replayLimitBytes) return;
    this.#sawEmptyWindow = this.#apps.some(
      (app) => app.side === end.side && app.sawAccept && app.isLive && (app.stream?.writableBytes ?? 0) > 0,
    );
  }

  /** The deadline for an answer stands still while detached, so a long outage alone may never run it out. */
  #checkTimeouts(): void {
    for (const app of this.#openers.values()) {
      if (app.resetCode !== "open_timeout" || app.peer?.stream === undefined) continue;
      const { openTimeoutMs } = app.side === 0 ? this.#client.options : this.#server.options;
      if (openTimeoutMs >= 8_000)
        throw new Error(`connection ${app.connection}: timed out although it was answered`);
    }
  }

  #isDone(app: SimStream): boolean {
    if (app.ending !== undefined) return true;
    if (app.stream === undefined) return true; // never accepted: its opener must be done, and is looked at by itself
    if (app.stalls) return app.sawEnd || app.peer?.hasEnded !== true || app.received < app.peer.written;
    return app.peer?.stalls === true;
  }

  #allDoneButStalled(): boolean {
    const tunnelsSettled = [...this.#tunnels.values()].every((state) => state === "ready");
    return tunnelsSettled && this.#apps.every((app) => this.#isDone(app));
  }

  #isQuiet(): boolean {
    if (this.#client.session.state !== "attached" || this.#server.session.state !== "attached")
      return this.#bothEnded();
    return this.#client.session.counters.replayBytes === 0 && this.#server.session.counters.replayBytes === 0;
  }

  #bothEnded(): boolean {
    return this.#client.session.state === "ended" && this.#server.session.state === "ended";
  }

  #isEmpty(): boolean {
    return Object.values(this.#leftOver()).every((n) => n === 0);
  }

  #leftOver(): Record<string, number> {
    const [c, s] = [this.#client.session, this.#server.session];
    return {
      clientStreams: c.streams,
      serverStreams: s.streams,
      clientReplay: c.counters.replayBytes,
      serverReplay: s.counters.replayBytes,
      clientWindows: c.counters.windowBytes,
      serverWindows: s.counters.windowBytes,
      waiting: c.waitingOpens + s.waitingOpens,
    };
  }

  #checkAfterEnd(): void {
    for (const app of this.#apps) app.take(app.unconsumed); // who has all of it may take its time
    this.#eachMemory((memory) => memory.checkReturned());
    for (const app of this.#apps) {
      if (app.stream !== undefined && app.ending === undefined)
        throw new Error(`not told of the end: ${describe(app)}`);
    }
  }
}

function describe(app: SimStream): string {
  const { connection, side, received, written, hasEnded, sawEnd, peer } = app;
  const left = app.stream?.writableBytes;
  return `connection ${connection} side ${side}: got ${received} of ${peer?.written}, wrote ${written}, ${left} unsent, ended ${hasEnded}, saw end ${sawEnd}`;
}

function limitsOf(options: SessionOptions): SessionLimits {
  const { maxStreams, maxPendingOpens, maxTunnels, initialWindowBytes, replayLimitBytes } = options;
  return { maxStreams, maxPendingOpens, maxTunnels, initialWindowBytes, replayLimitBytes };
}
