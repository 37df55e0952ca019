import type { Redirects } from "./client-options.ts";
import type { AttemptInfo, ServerProvider } from "./dial-provider.ts";
import { parseServerUrl } from "./server-url.ts";

export interface ServerChoice {
  /** Undefined when a function is to name it at the last moment. */
  readonly url: URL | undefined;
  /** Its origin is one that the caller named, and not one that a redirect led to. */
  readonly isOwn: boolean;
  /** How long that server wants to be left alone, ms from now. */
  readonly waitMs: number;
}

export interface ChoiceRequest {
  /** Monotonic clock, ms. */
  readonly now: number;
  /** The server that holds the session which could be resumed, and for how long there has been no transport. */
  readonly home: { readonly url: URL; readonly detachedMs: number } | undefined;
}

export interface ChooserOptions {
  readonly stickyMs: number;
  /** No wish to be left alone counts for longer. */
  readonly retryAfterCapMs: number;
  readonly redirects: Redirects;
}

const MAX_REDIRECTS = 3;

/**
 * Which server the next dial goes to. A list is gone through in order, from the last one that worked. A session lives on
 * one server: while it can be resumed that one alone is dialed for `stickyMs`, after that it is one among the others.
 */
export class ServerChooser {
  readonly #server: readonly URL[] | ServerProvider;
  readonly #options: ChooserOptions;
  #index = 0;
  /** By URL, or "" for what a function names: not before this time. */
  readonly #notBefore = new Map<string, number>();
  /** What the function named last. */
  #named: URL | undefined;
  #redirected: URL | undefined;
  #redirects = 0;

  constructor(server: readonly URL[] | ServerProvider, options: ChooserOptions) {
    this.#server = server;
    this.#options = options;
  }

  /** How many servers must refuse one after the other before there is nothing left to try. */
  get count(): number {
    return typeof this.#server === "function" ? 1 : this.#server.length;
  }

  choose({ now, home }: ChoiceRequest): ServerChoice {
    const redirected = this.#redirected;
    if (redirected !== undefined) {
      this.#redirected = undefined;
      return this.#choice(redirected, now);
    }
    if (typeof this.#server === "function") {
      return { url: undefined, isOwn: true, waitMs: this.#waitOf("", now) };
    }
    if (home !== undefined && home.detachedMs < this.#options.stickyMs) return this.#choice(home.url, now);
    // One that asked to be left alone is passed over as long as there is another.
    for (let i = 0; i < this.#server.length; i += 1) {
      const url = this.#server[(this.#index + i) % this.#server.length] as URL;
      if (this.#waitOf(url.href, now) === 0) return this.#choice(url, now);
    }
    return this.#choice(this.#server[this.#index] as URL, now);
  }

  /** Asks the function. @throws whatever it throws; CulvertError `invalid_option` for a bad URL. */
  static async ask(provider: ServerProvider, info: AttemptInfo): Promise<URL> {
    return parseServerUrl(await provider(info), "what the server function returned");
  }

  /** The function named this server for the present dial. */
  named(url: URL): void {
    this.#named = url;
  }

  /** The dial of `url` led to nothing. */
  failed(url: URL, now: number, retryAfterMs: number | undefined): void {
    const key = typeof this.#server === "function" ? "" : url.href;
    // The last word counts: one answer, perhaps of a proxy on the way, must not keep the client away for ever.
    if (retryAfterMs === undefined) this.#notBefore.delete(key);
    else this.#notBefore.set(key, now + Math.min(retryAfterMs, this.#options.retryAfterCapMs));
    const index = this.#indexOf(url);
    if (index !== -1) this.#index = (index + 1) % this.#server.length;
  }

  /** `url` is alive, and the next one to dial. */
  answered(url: URL): void {
    const index = this.#indexOf(url);
    if (index !== -1) this.#index = index;
  }

  /** A session is open at `url`. */
  succeeded(url: URL): void {
    this.answered(url);
    this.#redirects = 0;
    this.#notBefore.clear();
  }

  /**
   * The server says: try this one instead. It has our token already, so that may go where it sends us, but never from an
   * encrypted connection to a plain one. Not to every host: a server could make its clients knock anywhere in a network
   * that it does not reach itself. False when one of these, a bad URL or a chain of redirects forbids it.
   */
  redirect(to: string, from: URL): boolean {
    let url: URL;
    try {
      url = parseServerUrl(to, "redirect");
    } catch {
      return false;
    }
    if (from.protocol === "wss:" && url.protocol !== "wss:") return false;
    const isSameHost = this.#own.some(({ hostname }) => hostname === url.hostname);
    if (!isSameHost && this.#options.redirects !== "any") return false;
    if (this.#redirects >= MAX_REDIRECTS) {
      this.#redirects = 0;
      return false;
    }
    this.#redirects += 1;
    this.#redirected = url;
    return true;
  }

  #choice(url: URL, now: number): ServerChoice {
    const isOwn = this.#own.some(({ origin }) => origin === url.origin);
    return { url, isOwn, waitMs: this.#waitOf(url.href, now) };
  }

  /** The servers that the caller named. */
  get #own(): readonly URL[] {
    if (typeof this.#server !== "function") return this.#server;
    return this.#named === undefined ? [] : [this.#named];
  }

  #waitOf(key: string, now: number): number {
    return Math.max(0, (this.#notBefore.get(key) ?? 0) - now);
  }

  #indexOf(url: URL): number {
    if (typeof this.#server === "function") return -1;
    return this.#server.findIndex(({ href }) => href === url.href);
  }
}
