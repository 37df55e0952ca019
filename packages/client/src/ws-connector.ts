import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { webSocketTransport } from "@culvert/peer";
import {
  CulvertError,
  isStaleChallenge,
  keyChallengeIn,
  MAX_FRAME_BYTES,
  SUBPROTOCOL,
} from "@culvert/protocol";
import { type ClientOptions, WebSocket } from "ws";
import type { DialEvents, DialPlan } from "./dial.ts";
import { connectError, refusalError, retryAfterMs } from "./dial-failure.ts";
import { openConnection } from "./dialed-connection.ts";
import { hasHeader } from "./headers.ts";
import { shownUrl } from "./server-url.ts";

/** The defaults of ws are made for chat; these are for frames of a known largest size. */
const WS_OPTIONS: ClientOptions & { readonly closeTimeout: number } = {
  // Compression makes memory and time depend on the peer's bytes, and what is carried is mostly compressed already.
  perMessageDeflate: false,
  followRedirects: false,
  maxPayload: MAX_FRAME_BYTES,
  maxFragments: 16,
  // One byte a read is the worst that a middlebox does to a frame: what ws would take for an attack is then our own
  // largest frame, sent again and again.
  maxBufferedChunks: 65_536,
  closeTimeout: 5000,
};

/** TCP keepalive of the tunnel's socket: it lets the kernel forget a peer that vanished while nothing was said. */
const KEEP_ALIVE_MS = 30_000;
/** Of the body of a refusal this much is read, for this long: enough to see who speaks. */
const MAX_BODY_CHARACTERS = 512;
const BODY_WAIT_MS = 1000;

/** How far the connection below came, and why it was not used. */
interface Progress {
  isConnected: boolean;
  refusal: CulvertError | undefined;
}

/** One dial as the redialing library needs it: a WebSocket that knows its plan and tells how it went. */
export class DialedSocket extends WebSocket {
  /** Resolves when the WebSocket is closed, also one that never opened. */
  readonly over: Promise<void>;
  readonly #plan: DialPlan;
  readonly #events: DialEvents;
  readonly #abort: AbortController;
  readonly #timer: NodeJS.Timeout;
  #failure: CulvertError | undefined;
  #retryAfterMs: number | undefined;
  #challenge: string | undefined;
  #socket: Duplex | undefined;
  #opened = false;

  constructor(plan: DialPlan, events: DialEvents) {
    const abort = new AbortController();
    const progress: Progress = { isConnected: false, refusal: undefined };
    super(plan.url, SUBPROTOCOL, {
      ...WS_OPTIONS,
      // Not handshakeTimeout: it counts idle time only, and of the socket only. The timer below is the deadline.
      headers: { ...plan.headers },
      ...(plan.connector === undefined && plan.url.protocol !== "wss:"
        ? {}
        : { createConnection: creator(plan, progress, abort.signal) }),
    });
    this.#plan = plan;
    this.#events = events;
    this.#abort = abort;
    this.#timer = setTimeout(() => {
      this.#fail(
        new CulvertError("connect_failed", `${shownUrl(plan.url)}: no answer in ${plan.timeoutMs} ms`),
      );
    }, plan.timeoutMs);

    // For as long as the object lives: ws emits 'error' also after everybody else has stopped listening, and an 'error'
    // that nobody hears ends the process.
    this.on("error", (error) => {
      const { isConnected, refusal } = progress;
      this.#failure ??= refusal ?? connectError(error, plan.url, isConnected && plan.url.protocol === "wss:");
    });
    this.on("upgrade", (response) => this.#upgraded(response));
    this.on("unexpected-response", (_request, response) => this.#refused(response));
    this.on("open", () => this.#open());
    this.over = new Promise((resolve) => {
      this.on("close", (code, reason) => {
        this.#closed(code, reason.toString("utf8"));
        resolve();
      });
    });
  }

  /**
   * The redialing library subscribes to messages, and would have ws wrap each one in an event for nobody. The transport
   * hears them by `on`.
   */
  override addEventListener<K extends keyof WebSocket.WebSocketEventMap>(
    type: K,
    listener:
      | ((event: WebSocket.WebSocketEventMap[K]) => void)
      | { handleEvent(event: WebSocket.WebSocketEventMap[K]): void },
    options?: WebSocket.EventListenerOptions,
  ): void {
    if (type !== "message") super.addEventListener(type, listener, options);
  }

  #upgraded(response: IncomingMessage): void {
    this.#socket = response.socket;
    if (response.headers["sec-websocket-protocol"] === SUBPROTOCOL) return;
    // ws finds the same right after this, but says so in a sentence only.
    this.#failure ??= new CulvertError(
      "not_culvert",
      `the WebSocket server at ${shownUrl(this.#plan.url)} does not speak ${SUBPROTOCOL}`,
    );
  }

  #open(): void {
    clearTimeout(this.#timer);
    this.#opened = true;
    const socket = this.#socket as Duplex;
    const tcp = socket as Partial<Pick<import("node:net").Socket, "setNoDelay" | "setKeepAlive">>;
    tcp.setNoDelay?.(true);
    tcp.setKeepAlive?.(true, KEEP_ALIVE_MS);
    // By what the URL says, not by what the socket is: a connector may bring TLS to a proxy that goes on in plain text.
    const masking = this.#plan.url.protocol === "wss:" ? "zero" : "random";
    this.#events.onOpen(webSocketTransport(this, socket, masking), this.#plan);
  }

  #refused(response: IncomingMessage): void {
    this.#retryAfterMs = retryAfterMs(response.headers["retry-after"]);
    const { url, key, headers } = this.#plan;
    const isShown = hasHeader(headers, "authorization");
    if (response.statusCode === 401 && key !== undefined && !isShown) {
      this.#challenge = keyChallengeIn(response.headers["www-authenticate"]);
    }
    readBody(response, (body) => {
      const credentials = key !== undefined ? "key" : isShown ? "token" : undefined;
      const isStale = isShown && isStaleChallenge(response.headers["www-authenticate"]);
      const refusal = { status: response.statusCode ?? 0, body, takesKeys: isShown, isStale };
      this.#fail(refusalError(refusal, url, credentials));
    });
  }

  #fail(failure: CulvertError): void {
    this.#failure ??= failure;
    this.terminate();
  }

  #closed(code: number, reason: string): void {
    clearTimeout(this.#timer);
    this.#abort.abort();
    const said = `code ${code}${reason === "" ? "" : ` (${reason})`}`;
    const cause = this.#opened
      ? new CulvertError("transport_closed", said, { cause: this.#failure })
      : (this.#failure ?? new CulvertError("connect_failed", shownUrl(this.#plan.url)));
    this.#events.onOver({ cause, retryAfterMs: this.#retryAfterMs, challenge: this.#challenge }, this.#plan);
  }
}

/** Calls back once, with the beginning of the body, soon. */
function readBody(response: IncomingMessage, done: (body: string) => void): void {
  let body = "";
  let finish: ((text: string) => void) | undefined = (text) => {
    finish = undefined;
    clearTimeout(timer);
    done(text);
  };
  const timer = setTimeout(() => finish?.(body), BODY_WAIT_MS);
  response.setEncoding("latin1");
  response.on("data", (text: string) => {
    body += text;
    if (body.length >= MAX_BODY_CHARACTERS) finish?.(body.slice(0, MAX_BODY_CHARACTERS));
  });
  response.on("end", () => finish?.(body));
  response.on("error", () => finish?.(body));
  response.on("close", () => finish?.(body));
}

/** Node's `createConnection` in its callback form: the connection comes later. */
function creator(plan: DialPlan, progress: Progress, signal: AbortSignal): ClientOptions["createConnection"] {
  const create = (_options: unknown, done: (error: Error | null, socket?: Duplex) => void): undefined => {
    openConnection(plan, signal).then(
      (socket) => {
        progress.isConnected = true;
        done(null, socket);
      },
      (error: unknown) => {
        if (error instanceof CulvertError && error.code === "untrusted_server") progress.refusal = error;
        done(error instanceof Error ? error : new Error(String(error)));
      },
    );
  };
  return create as unknown as ClientOptions["createConnection"];
}
