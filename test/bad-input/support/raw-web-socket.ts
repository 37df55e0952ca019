import type { Socket } from "node:net";
import { soon } from "../../support/deadline.ts";
import { FrameReader, frameBytes, OPCODE } from "./web-socket-bytes.ts";

/** How a WebSocket ended for who holds this end: the code of the close frame, or that none came. */
export type CloseCode = number | "no close frame";

/**
 * One end of a WebSocket behind its opening handshake, with no library in between: it sends whatever bytes it is told to,
 * and keeps what comes. Answers nothing by itself.
 */
export class RawWebSocket implements Disposable {
  readonly socket: Socket;
  /** Resolves when the connection is closed. */
  readonly closed: Promise<CloseCode>;
  readonly #masks: boolean;
  readonly #reader = new FrameReader();
  readonly #messages: Buffer[] = [];
  #code: CloseCode = "no close frame";
  #isClosed = false;
  #onChange: (() => void) | undefined;

  /** @param masks Does this end mask, as a client does? @param head What came behind the opening handshake. */
  constructor(socket: Socket, masks: boolean, head: Buffer = Buffer.alloc(0)) {
    this.socket = socket;
    this.#masks = masks;
    socket.on("error", () => undefined);
    this.closed = new Promise((resolve) => {
      socket.on("close", () => {
        this.#isClosed = true;
        resolve(this.#code);
        this.#onChange?.();
      });
    });
    // The end of who refuses us is answered, so that it need not wait for it.
    socket.on("end", () => socket.end());
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    if (head.length > 0) this.#receive(head);
  }

  /** Sends these bytes as they stand. */
  write(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Sends each as a binary message, all in one segment where the kernel likes. */
  send(...messages: readonly Uint8Array[]): void {
    this.write(Buffer.concat(messages.map((message) => frameBytes(message, { masked: this.#masks }))));
  }

  /** Waits until the kernel has all that was written. */
  async flushed(): Promise<void> {
    await soon(new Promise<void>((resolve) => this.socket.write("", () => resolve())), "all is written");
  }

  /** The next binary message that nobody took; undefined when the connection closed first. */
  async next(): Promise<Buffer | undefined> {
    const take = async (): Promise<Buffer | undefined> => {
      while (this.#messages.length === 0 && !this.#isClosed) {
        await new Promise<void>((resolve) => {
          this.#onChange = resolve;
        });
      }
      return this.#messages.shift();
    };
    return await soon(take(), "a message or the end");
  }

  /** The next message of that type; those before it are passed over. */
  async nextOf(type: number): Promise<Buffer> {
    for (let message = await this.next(); message !== undefined; message = await this.next()) {
      if (message[0] === type) return message;
    }
    throw new Error(`closed with ${await this.closed} before a frame of type ${type}`);
  }

  /** Breaks the connection without a close frame. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #receive(chunk: Buffer): void {
    for (const { opcode, payload } of this.#reader.push(chunk)) {
      if (opcode === OPCODE.binary) this.#messages.push(payload);
      else if (opcode === OPCODE.close && this.#code === "no close frame") {
        this.#code = payload.length < 2 ? 1005 : payload.readUInt16BE(0);
        // Whoever closes waits for the answer, RFC 6455 section 5.5.1.
        this.socket.end(frameBytes(payload, { opcode: OPCODE.close, masked: this.#masks }));
      }
    }
    this.#onChange?.();
  }
}
