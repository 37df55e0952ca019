import type { Duplex } from "node:stream";
import { SpentBuffers } from "./spent-buffers.ts";

/**
 * Frees the masked copy that ws makes of each frame (RFC 6455 section 5.3) as soon as the kernel has it. ws offers no other
 * place to learn of the copy than the socket that it writes to, so this listens to `write` of that socket.
 */
export class SentMemory {
  readonly #socket: Duplex;
  readonly #spent = new SpentBuffers();
  /** Bytes that were written to the socket. */
  #written: number;
  /** The memory of the frame that is being sent; it stays its owner's, also if ws writes it as it is. */
  #frame: ArrayBufferLike | undefined;

  constructor(socket: Duplex) {
    this.#socket = socket;
    this.#written = socket.writableLength;
    const { write } = socket;
    const listening = (chunk: Uint8Array | string, ...rest: unknown[]): boolean => {
      this.#note(chunk);
      return Reflect.apply(write, socket, [chunk, ...rest]) as boolean;
    };
    socket.write = listening as typeof write;
  }

  /** Runs `send`, which writes `frame` or a copy of it. */
  during(frame: Uint8Array, send: () => void): void {
    this.#frame = frame.buffer;
    send();
    this.#frame = undefined;
  }

  /** Frees what has left. */
  free(): void {
    this.#spent.freeThrough(this.#written - this.#socket.writableLength);
  }

  #note(chunk: Uint8Array | string): void {
    this.#written += typeof chunk === "string" ? Buffer.byteLength(chunk) : chunk.length;
    const isCopy = this.#frame !== undefined && typeof chunk !== "string" && chunk.buffer !== this.#frame;
    if (isCopy) this.#spent.add(chunk, this.#written);
  }
}
