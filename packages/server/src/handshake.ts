import type { Transport, TransportHandler } from "@culvert/peer";
import {
  CulvertError,
  decodeHandshake,
  ERRORS,
  type ErrorCode,
  encodeReject,
  encodeWelcome,
  type Hello,
  type Reject,
  type Welcome,
} from "@culvert/protocol";

/** `hello`: nothing came yet. `deciding`: the HELLO is being decided on. `over`: answered, refused, or the transport is gone. */
type HandshakeState = "hello" | "deciding" | "over";

export interface HandshakeOptions {
  /** From the start of the transport to the answer. */
  readonly timeoutMs: number;
  readonly onHello: (hello: Hello) => void;
  /** The handshake failed with this code, or the transport closed first (`transport_closed`). At most once, never after `welcome`. */
  readonly onFailed: (error: CulvertError) => void;
}

/**
 * Who is refused may take this long to close, then it is cut. Less than for a session: nothing but the answer is under way,
 * and who opens and says nothing must not have a place for as long again.
 */
const LINGER_MS = 1000;

/** The server's end of a handshake on one fresh transport: takes the HELLO, gives the answer, within a deadline. */
export class Handshake implements TransportHandler {
  readonly #transport: Transport;
  readonly #options: HandshakeOptions;
  /** Until the answer; after a refusal until the close. */
  #timer: NodeJS.Timeout;
  #state: HandshakeState = "hello";

  constructor(transport: Transport, options: HandshakeOptions) {
    this.#transport = transport;
    this.#options = options;
    this.#timer = setTimeout(() => this.refuse("handshake_timeout"), options.timeoutMs);
    transport.handler = this;
  }

  get isOver(): boolean {
    return this.#state === "over";
  }

  /** Says yes. The transport is the caller's from now on. */
  welcome(welcome: Welcome): void {
    if (this.#state === "over") return;
    this.#finish();
    this.#transport.send(encodeWelcome(welcome));
  }

  /** Says no and closes the transport. `detail` is for our log only. */
  refuse(code: ErrorCode, extra: Omit<Reject, "code"> = {}, detail?: string): void {
    if (this.#state === "over") return;
    this.#finish();
    this.#transport.send(encodeReject({ code, ...extra }));
    this.#transport.close(ERRORS[code].close, code);
    this.#timer = setTimeout(() => this.#transport.terminate(), LINGER_MS);
    this.#options.onFailed(new CulvertError(code, detail));
  }

  // -- what the transport says

  onMessage(message: Uint8Array): void {
    if (this.#state === "deciding") this.refuse("unexpected_frame");
    if (this.#state !== "hello") return;
    let hello: Hello;
    try {
      const first = decodeHandshake(message);
      if (first.type !== "hello") throw new CulvertError("bad_handshake", `${first.type} from a client`);
      hello = first.hello;
    } catch (error) {
      if (!(error instanceof CulvertError)) throw error;
      this.refuse(error.code, {}, error.message);
      return;
    }
    this.#state = "deciding";
    this.#options.onHello(hello);
  }

  onText(): void {
    this.refuse("text_message");
  }

  onHeard(): void {
    // The deadline is absolute: bytes do not extend it.
  }

  onDrain(): void {
    // Nothing waits for room here.
  }

  onClose(): void {
    clearTimeout(this.#timer);
    if (this.#state === "over") return;
    this.#finish();
    this.#options.onFailed(new CulvertError("transport_closed"));
  }

  #finish(): void {
    this.#state = "over";
    clearTimeout(this.#timer);
  }
}
