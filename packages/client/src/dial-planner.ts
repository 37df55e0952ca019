import { CulvertError } from "@culvert/protocol";
import type { AttemptInfo, ResolvedClientOptions } from "./client-options.ts";
import type { DialPlan } from "./dial.ts";
import { checkHeaders, hasHeader } from "./headers.ts";
import { pause } from "./pause.ts";
import { type ServerChoice, ServerChooser } from "./server-chooser.ts";

type PlannerOptions = Pick<
  ResolvedClientOptions,
  "server" | "token" | "headers" | "connector" | "tls" | "retry"
>;

/** Asks the caller's functions for what one dial needs, each within the connect time-out, and checks what they say. */
export class DialPlanner {
  readonly #options: PlannerOptions;

  constructor(options: PlannerOptions) {
    this.#options = options;
  }

  /**
   * @param choice The server; a function is asked when it has no URL. Custom headers go to the caller's own ones only: they
   * were not written for whatever a redirect leads to.
   * @throws CulvertError `connect_failed`, whatever went wrong in a function: the next dial may find it mended.
   */
  async plan({ url, isOwn }: Pick<ServerChoice, "url" | "isOwn">, info: AttemptInfo): Promise<DialPlan> {
    const { connector, tls, retry } = this.#options;
    return {
      url: url ?? (await this.#ask("server", info, () => this.#serverUrl(info))),
      headers: await this.#headers(info, isOwn),
      attempt: info.attempt,
      timeoutMs: retry.connectTimeoutMs,
      connector,
      tls,
    };
  }

  async #serverUrl(info: AttemptInfo): Promise<URL> {
    const { server } = this.#options;
    if (typeof server !== "function") throw new CulvertError("internal_error", "no server was chosen");
    return ServerChooser.ask(server, info);
  }

  async #headers(info: AttemptInfo, isOwn: boolean): Promise<Readonly<Record<string, string>>> {
    const { token } = this.#options;
    const headers = isOwn ? await this.#customHeaders(info) : {};
    if (token === undefined) return headers;
    if (hasHeader(headers, "authorization")) {
      throw new CulvertError("connect_failed", "the headers function and the token both set Authorization");
    }
    return { ...headers, Authorization: `Bearer ${token}` };
  }

  async #customHeaders(info: AttemptInfo): Promise<Readonly<Record<string, string>>> {
    const { headers } = this.#options;
    if (typeof headers !== "function") return headers;
    return await this.#ask("headers", info, async () =>
      checkHeaders(await headers(info), "what the headers function returned"),
    );
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
