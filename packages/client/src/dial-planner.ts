import { CulvertError } from "@culvert/protocol";
import type { AttemptInfo, ResolvedClientOptions } from "./client-options.ts";
import type { DialPlan } from "./dial.ts";
import { checkHeaders, hasHeader } from "./headers.ts";
import { pause } from "./pause.ts";
import { ServerChooser } from "./server-chooser.ts";

type PlannerOptions = Pick<ResolvedClientOptions, "server" | "token" | "headers" | "connector" | "retry">;

/** Asks the caller's functions for what one dial needs, each within the connect time-out, and checks what they say. */
export class DialPlanner {
  readonly #options: PlannerOptions;

  constructor(options: PlannerOptions) {
    this.#options = options;
  }

  /**
   * @param url The server, or undefined when a function is to name it.
   * @throws CulvertError `connect_failed`, whatever went wrong in a function: the next dial may find it mended.
   */
  async plan(url: URL | undefined, info: AttemptInfo): Promise<DialPlan> {
    const { connector, retry } = this.#options;
    return {
      url: url ?? (await this.#ask("server", info, () => this.#serverUrl(info))),
      headers: await this.#headers(info),
      attempt: info.attempt,
      timeoutMs: retry.connectTimeoutMs,
      connector,
    };
  }

  async #serverUrl(info: AttemptInfo): Promise<URL> {
    const { server } = this.#options;
    if (typeof server !== "function") throw new CulvertError("internal_error", "no server was chosen");
    return ServerChooser.ask(server, info);
  }

  async #headers(info: AttemptInfo): Promise<Readonly<Record<string, string>>> {
    const { headers: given, token } = this.#options;
    const headers =
      typeof given === "function"
        ? await this.#ask("headers", info, async () =>
            checkHeaders(await given(info), "what the headers function returned"),
          )
        : given;
    if (token === undefined) return headers;
    if (hasHeader(headers, "authorization")) {
      throw new CulvertError("connect_failed", "the headers function and the token both set Authorization");
    }
    return { ...headers, Authorization: `Bearer ${token}` };
  }

  async #ask<T>(option: "server" | "headers", info: AttemptInfo, ask: () => Promise<T>): Promise<T> {
    const done = new AbortController();
    const timeoutMs = this.#options.retry.connectTimeoutMs;
    const tooLate = pause(timeoutMs, info.signal, done.signal).then(() => {
      throw new Error(info.signal.aborted ? "aborted" : `no answer in ${timeoutMs} ms`);
    });
    tooLate.catch(() => undefined); // it also ends when the race is over
    try {
      return await Promise.race([ask(), tooLate]);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new CulvertError("connect_failed", `the function given as option ${option} failed: ${message}`, {
        cause: error,
      });
    } finally {
      done.abort();
    }
  }
}
