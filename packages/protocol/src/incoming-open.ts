import type { ErrorCode } from "./errors.ts";
import type { IncomingStream, OpenRequest, Stream, StreamHandler } from "./stream.ts";
import type { StreamCore } from "./stream-core.ts";

/** What an OPEN becomes for the driver: a question that waits for its answer. */
export class IncomingOpen implements IncomingStream {
  readonly #stream: StreamCore;

  constructor(stream: StreamCore) {
    this.#stream = stream;
  }

  get id(): number {
    return this.#stream.id;
  }

  get request(): OpenRequest {
    return this.#stream.request;
  }

  get onCancelled(): (() => void) | undefined {
    return undefined;
  }

  set onCancelled(callback: (() => void) | undefined) {
    this.#stream.onCancelled = callback;
  }

  accept(handler: StreamHandler): Stream {
    this.#stream.accept(handler);
    return this.#stream;
  }

  refuse(code: ErrorCode): void {
    this.#stream.refuse(code);
  }
}
