import { EXIT } from "./exit-codes.ts";

/** What tells of signals and of errors that nobody caught: the process, or a stand-in for it. */
export interface SignalHost {
  on(event: string, listener: (...details: unknown[]) => void): unknown;
  off(event: string, listener: (...details: unknown[]) => void): unknown;
}

export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

const FORCED: Readonly<Record<StopSignal, number>> = {
  SIGINT: EXIT.interrupted,
  SIGTERM: EXIT.terminated,
  SIGHUP: EXIT.hungUp,
};

/**
 * What the process is told from outside.
 *
 * SIGINT and SIGTERM: the first one drains, a second one ends the process at once. SIGHUP, which a terminal sends when it
 * is closed: like SIGTERM for who runs on a terminal, since nobody is left to stop the command; otherwise `onHangup`.
 * SIGUSR2: `onReport`.
 */
export class Signals {
  /** Aborted by the first signal to stop; its name is the reason. */
  readonly stop: AbortSignal;
  /** Resolves with the exit code at the second. */
  readonly forced: Promise<number>;
  /** Resolves with whatever was thrown and not caught. */
  readonly crashed: Promise<unknown>;
  onHangup: () => void = () => undefined;
  onReport: () => void = () => undefined;

  readonly #host: SignalHost;
  readonly #listeners: [event: string, listener: (...details: unknown[]) => void][] = [];

  constructor(host: SignalHost, isOnTerminal: boolean) {
    this.#host = host;
    const stopping = new AbortController();
    this.stop = stopping.signal;
    this.forced = new Promise((resolve) => {
      const stop = (name: StopSignal) => (): void => {
        if (stopping.signal.aborted) resolve(FORCED[name]);
        else stopping.abort(name);
      };
      this.#listen("SIGINT", stop("SIGINT"));
      this.#listen("SIGTERM", stop("SIGTERM"));
      this.#listen("SIGHUP", isOnTerminal ? stop("SIGHUP") : () => this.onHangup());
      this.#listen("SIGUSR2", () => this.onReport());
    });
    this.crashed = new Promise((resolve) => {
      this.#listen("uncaughtException", resolve);
      this.#listen("unhandledRejection", resolve);
    });
  }

  /** Resolves at the first signal to stop. */
  get stopped(): Promise<StopSignal> {
    if (this.stop.aborted) return Promise.resolve(this.stop.reason as StopSignal);
    return new Promise((resolve) => {
      this.stop.addEventListener("abort", () => resolve(this.stop.reason as StopSignal), { once: true });
    });
  }

  /** Listens no more; the process reacts as it would by itself. */
  dispose(): void {
    for (const [event, listener] of this.#listeners.splice(0)) this.#host.off(event, listener);
  }

  #listen(event: string, listener: (...details: unknown[]) => void): void {
    this.#host.on(event, listener);
    this.#listeners.push([event, listener]);
  }
}
