import type { Logger } from "@culvert/peer";
import { CulvertError } from "@culvert/protocol";
import { Backoff } from "./backoff.ts";
import type { ResolvedClientOptions } from "./client-options.ts";
import type { DialPlan } from "./dial.ts";
import { DialPlanner } from "./dial-planner.ts";
import { pause } from "./pause.ts";
import { isFinalRefusal } from "./refusal.ts";
import { ServerChooser } from "./server-chooser.ts";
import { shownUrl } from "./server-url.ts";

/** The server that holds the session which could be resumed. */
export interface HomeServer {
  readonly url: URL;
  /** When the last transport went, on the monotonic clock. */
  readonly detachedAt: number;
}

export type DialTurn =
  | { readonly kind: "dial"; readonly plan: DialPlan }
  /** A limit of the retry policy is reached. */
  | { readonly kind: "give_up"; readonly cause: CulvertError }
  /** This dial came to nothing before it began; take the next turn. */
  | { readonly kind: "failed" }
  | { readonly kind: "aborted" };

/** When the next dial is due, where it goes, and which failure is the last. */
export class DialSchedule {
  readonly #log: Logger;
  readonly #backoff: Backoff;
  readonly #chooser: ServerChooser;
  readonly #planner: DialPlanner;
  /** Why the last dial failed or the last transport ended. */
  lastError: CulvertError | undefined;
  #attempt = 0;
  #hadSession = false;
  /** Refusals in a row that would be final if there were no other server. */
  #refusals = 0;
  /** The next dial is not a retry, and waits for nothing. */
  #isDue = false;
  #waiting = new AbortController();

  constructor(options: ResolvedClientOptions) {
    this.#log = options.logger;
    this.#backoff = new Backoff(options.retry, options.random);
    const { server, redirects, retry } = options;
    const { stickyMs, retryAfterCapMs } = retry;
    this.#chooser = new ServerChooser(server, { stickyMs, retryAfterCapMs, redirects });
    this.#planner = new DialPlanner(options);
  }

  /** Dials so far. It is also the number of an attempt to resume, which must grow. */
  get dials(): number {
    return this.#attempt;
  }

  /** Waits for its turn, then asks for what the dial needs. Never rejects. */
  async next(home: HomeServer | undefined, signal: AbortSignal): Promise<DialTurn> {
    const now = performance.now();
    const choice = this.#chooser.choose({
      now,
      home: home === undefined ? undefined : { url: home.url, detachedMs: now - home.detachedAt },
    });
    if (!this.#isDue) {
      const step = this.#backoff.next({ now, resumable: home !== undefined, retryAfterMs: choice.waitMs });
      if (step.kind === "give_up") return { kind: "give_up", cause: this.#givenUp(step.code) };
      if (step.delayMs > 0) this.#log.debug({ delayMs: step.delayMs }, "waiting to dial");
      await pause(step.delayMs, signal, this.#waiting.signal);
      if (signal.aborted) return { kind: "aborted" };
    }
    this.#isDue = false;
    this.#attempt += 1;
    try {
      const plan = await this.#planner.plan(choice, {
        attempt: this.#attempt,
        resuming: home === undefined ? undefined : shownUrl(home.url),
        lastError: this.lastError,
        signal,
      });
      if (choice.url === undefined) this.#chooser.named(plan.url);
      this.#log.debug({ attempt: plan.attempt, server: shownUrl(plan.url) }, "dialing");
      return { kind: "dial", plan };
    } catch (error) {
      if (signal.aborted) return { kind: "aborted" };
      this.failed(error instanceof CulvertError ? error : new CulvertError("internal_error", String(error)));
      return { kind: "failed" };
    }
  }

  #givenUp(code: "attempts_exhausted" | "deadline_exhausted"): CulvertError {
    const cause = this.lastError;
    return new CulvertError(code, cause === undefined ? undefined : `the last reason was: ${cause.message}`, {
      cause,
    });
  }

  /** The next dial waits for nothing; one that is waiting begins now. */
  hurry(): void {
    this.#isDue = true;
    this.#waiting.abort();
    this.#waiting = new AbortController();
  }

  /** The dial came to nothing. True: there is no use in another one. */
  failed(cause: CulvertError, plan?: DialPlan, retryAfterMs?: number): boolean {
    this.lastError = cause;
    if (plan !== undefined) this.#chooser.failed(plan.url, performance.now(), retryAfterMs);
    const fields = { code: cause.code, reason: cause.message, attempt: this.#attempt, retryAfterMs };
    this.#log.warn(fields, "no connection to the server");
    this.#refusals = isFinalRefusal(cause.code, this.#hadSession) ? this.#refusals + 1 : 0;
    // The one who displaced us has the name everywhere; any other refusal is that server's own.
    return this.#refusals >= this.#chooser.count || cause.code === "displaced";
  }

  /** The server says: there. False when that is not followed. */
  redirected(to: string, plan: DialPlan): boolean {
    const isFollowed = this.#chooser.redirect(to, plan.url);
    if (isFollowed) this.hurry();
    else this.#log.warn({ server: shownUrl(plan.url) }, "the server sends elsewhere, which is not followed");
    return isFollowed;
  }

  /** The server does not have the session any more: dial it again at once, for a new one. */
  sessionGone(plan: DialPlan): void {
    this.#chooser.answered(plan.url);
    this.hurry();
  }

  /** A session is open over the transport of this dial. */
  opened(plan: DialPlan): void {
    this.#hadSession = true;
    this.#refusals = 0;
    this.#backoff.opened(performance.now());
    this.#chooser.succeeded(plan.url);
  }

  /** That transport is gone. */
  closed(): void {
    this.#backoff.closed(performance.now());
  }
}
