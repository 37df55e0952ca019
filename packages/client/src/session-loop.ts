import type { Link, Logger, Transport } from "@culvert/peer";
import { CulvertError, ERRORS, type ErrorCode, type Reject, type Welcome } from "@culvert/protocol";
import { ChangeWatch } from "./change-watch.ts";
import type { ResolvedClientOptions } from "./client-options.ts";
import type { DialEnd, DialPlan } from "./dial.ts";
import { DialPlanner } from "./dial-planner.ts";
import { DialSchedule } from "./dial-schedule.ts";
import { HeldSession, isNewSession } from "./held-session.ts";
import { helloOf } from "./hello.ts";
import { HelloExchange } from "./hello-exchange.ts";
import { Redial } from "./redial.ts";
import { isSessionGone, mustStayAway } from "./refusal.ts";
import { isSameServer, shownUrl } from "./server-url.ts";

export interface SessionLoopOptions extends ResolvedClientOptions {
  /** Random id of this client object, 32 hex digits. */
  readonly instance: string;
}

export interface SessionLoopEvents {
  /** A new session; set its callbacks now, before any frame comes. `onOpen` follows. */
  onSession(link: Link): void;
  /** The session is attached. */
  onOpen(link: Link, resumed: boolean): void;
  /** The transport is gone; the session can still be resumed. */
  onDetached(cause: CulvertError): void;
  /** The session is gone and its streams are reset; a new one will be made. */
  onLost(cause: CulvertError): void;
  /** The loop has ended by itself; nothing follows. */
  onOver(cause: CulvertError): void;
}

/** `closing`: no session is made any more, the one that is there may still be attached to say goodbye. */
type Phase = "running" | "closing" | "over";

/** What the dial under way has come to. `settled`: answered or failed, and dealt with; its socket may still be closing. */
type Stage =
  | { readonly name: "dialing" }
  | { readonly name: "hello"; readonly exchange: HelloExchange }
  | { readonly name: "attached"; readonly transport: Transport }
  | { readonly name: "settled" };

/** While closing, how long to try to attach and then how long to wait for the peer's close, ms. */
const GOODBYE_MS = 2_000;
/** After the end of a session its transport may say so for this long before it is terminated, ms. */
const LINGER_MS = 1_000;

/**
 * Keeps one session with a server alive over one transport after another, and makes a new one when it is lost. It knows
 * when to dial, what to say, and which answers end it; what the session is used for is not its business.
 */
export class SessionLoop {
  readonly #options: SessionLoopOptions;
  readonly #events: SessionLoopEvents;
  readonly #log: Logger;
  readonly #schedule: DialSchedule;
  readonly #redial: Redial;
  #phase: Phase = "running";
  #session: HeldSession | undefined;
  #stage: Stage = { name: "settled" };
  /** The second half of a login by key, to be dialed at once: a part of the same attempt. */
  #login: DialPlan | undefined;
  #sessions = 0;
  #closed: Promise<void> | undefined;
  readonly #watch = new ChangeWatch();

  /** Begins at once; events come in later turns of the event loop. */
  constructor(options: SessionLoopOptions, events: SessionLoopEvents) {
    this.#options = options;
    this.#events = events;
    this.#log = options.logger;
    this.#schedule = new DialSchedule(options);
    this.#redial = new Redial({
      nextDial: (signal) => this.#nextDial(signal),
      onOpen: (transport, plan) => this.#sayHello(transport, plan),
      onOver: (end, plan) => this.#dialOver(end, plan),
      onFault: (error) => this.#end(new CulvertError("internal_error", String(error), { cause: error })),
    });
  }

  /** The session's link, attached or detached. */
  get link(): Link | undefined {
    return this.#session?.link;
  }

  /** The server of the session. */
  get server(): string | undefined {
    return this.#session === undefined ? undefined : shownUrl(this.#session.url);
  }

  get sessionId(): string | undefined {
    return this.#session?.id;
  }

  /** Dials, and sessions made, since the start. */
  get counters(): { readonly dials: number; readonly sessions: number } {
    return { dials: this.#schedule.dials, sessions: this.#sessions };
  }

  /**
   * Ends the session and the loop: open streams may go on for `drainMs`, also over another transport if this one breaks or
   * is gone. Without a transport after that, attaching is tried for a moment, so that the server need not keep the session
   * for its whole grace. Bounded, never rejects.
   */
  close(drainMs: number): Promise<void> {
    this.#closed ??= this.#close(drainMs);
    return this.#closed;
  }

  async #close(drainMs: number): Promise<void> {
    if (this.#phase === "over") return;
    this.#phase = "closing";
    const link = this.link;
    if (link?.state === "detached") this.#schedule.hurry();
    // Connections that wait for the link to come back are worth waiting for too; an idle session is not.
    const isWorthIt = link?.state === "attached" || (link?.stats().streams ?? 0) > 0;
    if (isWorthIt && drainMs > 0) await link?.drain(drainMs);
    if (link?.state === "detached") {
      this.#schedule.hurry();
      await this.#watch.until(() => link.state !== "detached" || this.#isOver, GOODBYE_MS);
    }
    if (link?.state === "attached") {
      link.close("closed");
      await this.#watch.until(() => this.#stage.name !== "attached" || this.#isOver, GOODBYE_MS);
    }
    link?.fail(new CulvertError("closed"));
    this.#finish();
  }

  get #isOver(): boolean {
    return this.#phase === "over";
  }

  /** While closing only a session that is still there is worth a dial. */
  get #wantsTransport(): boolean {
    return this.#phase === "running" || (this.#phase === "closing" && this.#session !== undefined);
  }

  // -- dialing

  async #nextDial(signal: AbortSignal): Promise<DialPlan | undefined> {
    while (this.#wantsTransport) {
      const login = this.#login;
      this.#login = undefined;
      if (login !== undefined) {
        this.#stage = { name: "dialing" };
        return login;
      }
      const turn = await this.#schedule.next(this.#session, signal);
      switch (turn.kind) {
        case "dial":
          this.#stage = { name: "dialing" };
          return turn.plan;
        case "give_up":
          this.#end(turn.cause);
          return undefined;
        case "aborted":
          return undefined;
        case "failed":
          break;
      }
    }
    return undefined;
  }

  #dialOver(end: DialEnd, plan: DialPlan): void {
    const stage = this.#stage;
    this.#stage = { name: "settled" };
    switch (stage.name) {
      case "dialing":
        if (end.challenge === undefined) this.#dialFailed(end.cause, plan, end.retryAfterMs);
        else this.#login = DialPlanner.login(plan, end.challenge);
        break;
      case "hello":
        stage.exchange.abandon();
        this.#dialFailed(
          new CulvertError("connect_failed", `closed before the WELCOME: ${end.cause.message}`),
          plan,
        );
        break;
      case "attached":
        this.#schedule.closed();
        break;
      case "settled":
        break;
    }
    this.#watch.changed();
  }

  #dialFailed(cause: CulvertError, plan: DialPlan, retryAfterMs?: number): void {
    if (!this.#isOver && this.#schedule.failed(cause, plan, retryAfterMs)) this.#end(cause);
  }

  // -- the handshake

  #sayHello(transport: Transport, plan: DialPlan): void {
    if (!this.#wantsTransport) {
      this.#settle(transport);
      return;
    }
    // Whoever is shown the proof of a resume could use it himself where the session is. Only the server that gave the
    // session sees one; any other is asked for a new session, and the old one is lost if it says yes.
    const isHome = this.#session !== undefined && isSameServer(this.#session.url, plan.url);
    const session = isHome ? this.#session : undefined;
    if (session === undefined && this.#phase === "closing") {
      this.#settle(transport);
      this.#dialFailed(
        new CulvertError("connect_failed", `${shownUrl(plan.url)} does not have the session`),
        plan,
      );
      return;
    }
    const hello = helloOf(this.#options, this.#options.instance, plan.attempt, session?.resume(plan.attempt));
    const exchange = new HelloExchange(transport, hello, plan.timeoutMs, {
      onWelcome: (welcome) => this.#welcomed(welcome, session, transport, plan),
      onReject: (reject) => this.#rejected(reject, session, transport, plan),
      onFailed: (cause) => {
        this.#settle(transport);
        this.#dialFailed(
          new CulvertError(cause.code, `${shownUrl(plan.url)}: ${cause.message}`, { cause }),
          plan,
        );
      },
    });
    this.#stage = { name: "hello", exchange };
  }

  #welcomed(welcome: Welcome, asked: HeldSession | undefined, transport: Transport, plan: DialPlan): void {
    if (asked === undefined) this.#begin(welcome, transport, plan);
    else if (asked !== this.#session) {
      // It ended while the server was answering: its grace was over, for one. Now make a new one.
      this.#settle(transport);
      this.#schedule.sessionGone(plan);
    } else this.#goOn(welcome, asked, transport, plan);
  }

  /** WELCOME to a new session. */
  #begin(welcome: Welcome, transport: Transport, plan: DialPlan): void {
    if (!isNewSession(welcome)) {
      this.#settle(transport);
      this.#dialFailed(new CulvertError("bad_handshake", "the WELCOME is not one to a new session"), plan);
      return;
    }
    if (this.#phase !== "running") {
      this.#settle(transport);
      return;
    }
    const former = this.#session;
    former?.link.fail(
      new CulvertError("session_lost", `${shownUrl(plan.url)} is not the server that has it: ${former.id}`),
    );
    const { session: options, graceMs: mostGraceMs } = this.#options;
    const graceMs = Math.min(welcome.graceMs, mostGraceMs ?? Number.POSITIVE_INFINITY);
    const log = this.#log.child({ session: welcome.session });
    const session = new HeldSession(welcome, plan.url, { ...options, graceMs }, log);
    const { link } = session;
    link.onAttached = (resumed) => {
      this.#events.onOpen(link, resumed);
      this.#watch.changed();
    };
    link.onDetached = (cause) => {
      session.detachedAt = performance.now();
      this.#schedule.lastError = cause;
      log.info({ code: cause.code, reason: cause.message }, "session detached");
      if (this.#session === session) this.#events.onDetached(cause);
      this.#watch.changed();
    };
    link.onEnded = (cause) => this.#sessionEnded(session, cause);
    this.#session = session;
    this.#sessions += 1;
    this.#events.onSession(link);
    log.info({ server: shownUrl(plan.url), serverAgent: welcome.agent, graceMs }, "session begun");
    this.#attach(session, transport, 0, plan);
  }

  /** WELCOME to a resume. */
  #goOn(welcome: Welcome, session: HeldSession, transport: Transport, plan: DialPlan): void {
    if (!session.isResumedBy(welcome)) {
      this.#settle(transport);
      this.#dialFailed(new CulvertError("bad_handshake", "the WELCOME is not one to this resume"), plan);
    } else if (session.link.canResume(welcome.received)) {
      const fields = { session: session.id, server: shownUrl(plan.url), attempt: plan.attempt };
      this.#log.info(fields, "session resumed");
      this.#attach(session, transport, welcome.received, plan);
    } else {
      this.#settle(transport);
      this.#lose(session, "replay_gap", plan);
    }
  }

  #attach(session: HeldSession, transport: Transport, received: number, plan: DialPlan): void {
    session.url = plan.url;
    this.#stage = { name: "attached", transport };
    this.#schedule.opened(plan);
    session.link.attach(transport, received);
  }

  #rejected(reject: Reject, asked: HeldSession | undefined, transport: Transport, plan: DialPlan): void {
    this.#settle(transport);
    const { code, redirect, retryAfterMs } = reject;
    if (redirect !== undefined && this.#schedule.redirected(redirect, plan)) {
      this.#log.info({ code, server: shownUrl(plan.url) }, "redirected");
    } else if (asked !== undefined && isSessionGone(code)) {
      this.#lose(asked, code, plan);
    } else {
      this.#dialFailed(new CulvertError(code, `says ${shownUrl(plan.url)}`), plan, retryAfterMs);
    }
  }

  /** This dial is dealt with; its socket goes at once, so that the next one can begin. */
  #settle(transport: Transport): void {
    this.#stage = { name: "settled" };
    transport.terminate();
  }

  // -- the end of a session, and of the loop

  /** The server does not have it any more. */
  #lose(session: HeldSession, code: ErrorCode, plan: DialPlan): void {
    this.#schedule.sessionGone(plan);
    session.link.fail(
      new CulvertError("session_lost", ERRORS[code].sentence, { cause: new CulvertError(code) }),
    );
  }

  #sessionEnded(session: HeldSession, cause: CulvertError): void {
    if (this.#session !== session) return;
    this.#session = undefined;
    this.#schedule.lastError = cause;
    this.#log.info({ session: session.id, code: cause.code, reason: cause.message }, "session over");
    if (this.#stage.name === "attached") {
      // It has said CLOSE, or heard it; a peer that does not answer the WebSocket's close is not waited for.
      const { transport } = this.#stage;
      setTimeout(() => transport.terminate(), LINGER_MS).unref();
    }
    if (this.#phase === "running") {
      if (mustStayAway(cause.code)) this.#end(cause);
      else this.#events.onLost(cause);
    }
    this.#watch.changed();
  }

  /** The loop ends by itself. */
  #end(cause: CulvertError): void {
    if (this.#phase === "over") return;
    const wasRunning = this.#phase === "running";
    const link = this.link;
    this.#session = undefined;
    link?.fail(cause);
    this.#finish();
    if (wasRunning) this.#events.onOver(cause);
  }

  #finish(): void {
    this.#phase = "over";
    this.#session = undefined;
    this.#redial.close();
    this.#watch.changed();
  }
}
