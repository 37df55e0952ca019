import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { SUBPROTOCOL } from "@culvert/protocol";
import type { Authentication, Authenticators } from "./authenticators.ts";
import type { HttpAnswer } from "./http-answer.ts";
import type { Identity } from "./identity.ts";

/** What the head of an upgrade request gets. */
export type GateVerdict =
  | { readonly kind: "pass"; readonly identity: Identity }
  /** `why` is for our log only, and so is that nothing is wrong about it. */
  | {
      readonly kind: "refuse";
      readonly answer: HttpAnswer;
      readonly why?: string;
      readonly isUsual?: boolean;
    };

export interface GateOptions {
  readonly authenticators: Pick<Authenticators, "authenticate">;
  /** Values of `Origin` that are let in. */
  readonly origins: readonly string[];
  /** Set while no transport is taken any more: seconds after which to come back. */
  readonly retryAfterSeconds: () => number | undefined;
  /** False when more come than can be served soon; asked last, so that strangers cannot use it up. */
  readonly hasTime: (remoteAddress: string | undefined) => boolean;
}

/** More headers than this are refused: the parser hides what exceeds its own limit instead of refusing it. */
const MAX_HEADERS = 100;

/** Every check of an HTTP request to the tunnel path before it becomes a WebSocket. */
export class Gate {
  readonly #options: GateOptions;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** The answer to a request that does not ask for an upgrade. */
  answerPlain(request: IncomingMessage): HttpAnswer {
    if (tooManyHeaders(request)) return TOO_MANY_HEADERS;
    return request.method === "GET" || request.method === "HEAD" ? UPGRADE_NEEDED : METHOD_NOT_ALLOWED;
  }

  /** Answers at once, unless who it is takes time to find out. Never throws, never rejects. */
  judge(request: IncomingMessage, socket: Duplex): GateVerdict | Promise<GateVerdict> {
    const fault = faultOf(request) ?? this.#faultOfOrigin(request);
    if (fault !== undefined) return { kind: "refuse", answer: fault };
    const who = this.#options.authenticators.authenticate(request, socket);
    return who instanceof Promise
      ? who.then((known) => this.#judge(known, socket))
      : this.#judge(who, socket);
  }

  /** Later than the rest of it: the server may have begun to close meanwhile. */
  #judge(who: Authentication, socket: Duplex): GateVerdict {
    if (who.kind === "refused") return { ...who, kind: "refuse" };
    const seconds = this.#options.retryAfterSeconds();
    if (seconds !== undefined)
      return { kind: "refuse", answer: unavailable("The server is shutting down.", seconds) };
    const { remoteAddress } = socket as { remoteAddress?: string };
    if (!this.#options.hasTime(remoteAddress))
      return { kind: "refuse", answer: unavailable(TOO_MANY_AT_ONCE, spread()) };
    return { kind: "pass", identity: who.identity };
  }

  /**
   * Browsers send `Origin`, tunnel clients do not. Without this check any web page that is open on this machine could
   * reach a server on loopback, since browsers let scripts open WebSockets to everywhere (RFC 6455 section 10.2).
   */
  #faultOfOrigin(request: IncomingMessage): HttpAnswer | undefined {
    const origin = request.headers.origin;
    return origin === undefined || this.#options.origins.includes(origin) ? undefined : FOREIGN_ORIGIN;
  }
}

/** What is wrong with the request itself, whoever sent it. */
function faultOf(request: IncomingMessage): HttpAnswer | undefined {
  const headers = request.headers;
  if (tooManyHeaders(request)) return TOO_MANY_HEADERS;
  if (request.method !== "GET") return METHOD_NOT_ALLOWED;
  // Node emits 'upgrade' for any token, h2c included.
  if (headers.upgrade?.toLowerCase() !== "websocket")
    return badRequest("Only an upgrade to websocket is possible here.");
  // A body would be left, unparsed, in front of the first WebSocket frame.
  if (headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0") {
    return badRequest("An upgrade request must not have a body.");
  }
  if (headers["sec-websocket-version"] !== "13") return WRONG_VERSION;
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
  if (!offered.includes(SUBPROTOCOL)) {
    return badRequest(
      `The WebSocket subprotocol ${SUBPROTOCOL} must be offered: is this a Culvert client of this version?`,
    );
  }
  return undefined;
}

function tooManyHeaders(request: IncomingMessage): boolean {
  return request.rawHeaders.length / 2 > MAX_HEADERS;
}

function badRequest(text: string): HttpAnswer {
  return { status: 400, text };
}

function unavailable(text: string, seconds: number): HttpAnswer {
  return { status: 503, text, headers: { "Retry-After": String(seconds) } };
}

/** Seconds, drawn for each, so that those who were sent away do not come back together. */
function spread(): number {
  return 1 + Math.floor(Math.random() * 10);
}

const TOO_MANY_AT_ONCE = "Too many clients connect at once; this one may come back soon.";

const UPGRADE_NEEDED: HttpAnswer = {
  status: 426,
  text: [
    "This is the tunnel endpoint of a Culvert server. It speaks WebSocket, not plain HTTP.",
    "Connect with: culvert client <this URL> -L 8080:target:80",
  ].join("\n"),
  headers: { Upgrade: "websocket", Connection: "close, Upgrade" },
};

const METHOD_NOT_ALLOWED: HttpAnswer = {
  status: 405,
  text: "Only GET with an upgrade to websocket is possible here.",
  headers: { Allow: "GET" },
};

const WRONG_VERSION: HttpAnswer = {
  status: 426,
  text: "Only WebSocket version 13 (RFC 6455) is spoken here.",
  headers: { Upgrade: "websocket", Connection: "close, Upgrade", "Sec-WebSocket-Version": "13" },
};

const TOO_MANY_HEADERS: HttpAnswer = { status: 431, text: `At most ${MAX_HEADERS} headers are taken.` };

const FOREIGN_ORIGIN: HttpAnswer = { status: 403, text: "Requests from web pages are not taken." };

/** Answer of our own HTTP server for every path but the tunnel's. */
export const NOT_FOUND: HttpAnswer = { status: 404, text: "Nothing is here." };
