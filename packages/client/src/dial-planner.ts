import { CulvertError, keyLoginHeader, keyLoginInput } from "@culvert/protocol";
import type { ResolvedClientOptions } from "./client-options.ts";
import { checkToken } from "./credentials.ts";
import type { DialPlan } from "./dial.ts";
import type { AttemptInfo } from "./dial-provider.ts";
import { checkHeaders, hasHeader } from "./headers.ts";
import { pause } from "./pause.ts";
import { type ServerChoice, ServerChooser } from "./server-chooser.ts";

type PlannerOptions = Pick<
  ResolvedClientOptions,
  "server" | "token" | "key" | "headers" | "connector" | "tls" | "retry"
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
    const { connector, key, tls, retry } = this.#options;
    return {
      url: url ?? (await this.#ask("server", info, () => this.#serverUrl(info))),
      headers: await this.#headers(info, isOwn),
      attempt: info.attempt,
      timeoutMs: retry.connectTimeoutMs,
      connector,
      key,
      tls,
    };
  }

  /**
   * The same dial once more, logging in by the key. The signature is good for this challenge and the name that was dialed,
   * and for nothing else: a server that was given it cannot log in with it anywhere.
   */
  static login(plan: DialPlan, challenge: string): DialPlan {
    const { key, url } = plan;
    if (key === undefined) return plan;
    const { host, pathname: path } = url;
    const signature = key.sign(keyLoginInput({ challenge, host, path })).toString("base64");
    const login = { key: key.publicText.replace("ed25519:", ""), challenge, host, signature };
    return { ...plan, headers: { ...plan.headers, Authorization: keyLoginHeader(login) } };
  }

  async #serverUrl(info: AttemptInfo): Promise<URL> {
    const { server } = this.#options;
    if (typeof server !== "function") throw new CulvertError("internal_error", "no server was chosen");
    return ServerChooser.ask(server, info);
  }

  async #headers(info: AttemptInfo, isOwn: boolean): Promise<Readonly<Record<string, string>>> {
    const { key } = this.#options;
    const headers = isOwn ? await this.#customHeaders(info) : {};
    const token = await this.#token(info);
    if (token === undefined && key === undefined) return headers;
    if (hasHeader(headers, "authorization")) {
      const other = key === undefined ? "token" : "key";
      throw new CulvertError(
        "connect_failed",
        `the headers function and the ${other} both set Authorization`,
      );
    }
    return token === undefined ? headers : { ...headers, Authorization: `Bearer ${token}` };
  }

  async #token(info: AttemptInfo): Promise<string | undefined> {
    const { token } = this.#options;
    if (typeof token !== "function") return token;
    return await this.#ask("token", info, async () =>
      checkToken(await token(info), "what the token function returned"),
    );
  }

  async #customHeaders(info: AttemptInfo): Promise<Readonly<Record<string, string>>> {
    const { headers } = this.#options;
    if (typeof headers !== "function") return headers;
    return await this.#ask("headers", info, async () =>
      checkHeaders(await headers(info), "what the headers function returned"),
    );
  }

  async #ask<T>(
    option: "server" | "token" | "headers",
    info: AttemptInfo,
    ask: () => Promise<T>,
  ): Promise<T> {
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
