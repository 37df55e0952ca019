import type { Transport, TransportHandler } from "@culvert/peer";
import {
  CulvertError,
  decodeHandshake,
  encodeHello,
  type HandshakeMessage,
  type Hello,
  type Reject,
  type Welcome,
} from "@culvert/protocol";

export interface HelloEvents {
  /** The transport is the callee's from now on. */
  onWelcome(welcome: Welcome): void;
  onReject(reject: Reject): void;
  /** Neither came. The transport is still to be terminated. */
  onFailed(cause: CulvertError): void;
}

/**
 * The client's end of a handshake on one fresh transport: sends the HELLO and waits for the answer. Exactly one event
 * follows, within the time limit, unless it is abandoned. Events come inside the transport's callback: the server may
 * send frames right behind its WELCOME.
 */
export class HelloExchange implements TransportHandler {
  readonly #events: HelloEvents;
  readonly #timer: NodeJS.Timeout;
  #over = false;

  constructor(transport: Transport, hello: Hello, timeoutMs: number, events: HelloEvents) {
    this.#events = events;
    this.#timer = setTimeout(() => {
      this.#fail(new CulvertError("handshake_timeout", `no answer to HELLO in ${timeoutMs} ms`));
    }, timeoutMs);
    transport.handler = this;
    transport.send(encodeHello(hello));
  }

  /** Nothing more is told. */
  abandon(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  onMessage(message: Uint8Array): void {
    if (this.#over) return;
    let answer: HandshakeMessage;
    try {
      answer = decodeHandshake(message);
    } catch (error) {
      if (!(error instanceof CulvertError)) throw error;
      // Something that takes our subprotocol and then says anything else is another version or another program.
      const code = error.code === "version_unsupported" ? error.code : "not_culvert";
      this.#fail(
        new CulvertError(code, `the answer to HELLO cannot be read: ${error.message}`, { cause: error }),
      );
      return;
    }
    this.abandon();
    if (answer.type === "welcome") this.#events.onWelcome(answer.welcome);
    else if (answer.type === "reject") this.#events.onReject(answer.reject);
    else this.#events.onFailed(new CulvertError("not_culvert", "it sends back what it gets"));
  }

  onText(): void {
    this.#fail(new CulvertError("not_culvert", "it answers HELLO with text"));
  }

  onHeard(): void {
    // The deadline is absolute: bytes do not extend it.
  }

  onDrain(): void {
    // One small message is sent.
  }

  onClose(code: number, reason: string): void {
    const said = reason === "" ? `code ${code}` : `code ${code} (${reason})`;
    this.#fail(new CulvertError("connect_failed", `the server closed before its WELCOME: ${said}`));
  }

  #fail(cause: CulvertError): void {
    if (this.#over) return;
    this.abandon();
    this.#events.onFailed(cause);
  }
}
