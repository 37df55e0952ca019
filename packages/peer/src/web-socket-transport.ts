import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { MASKINGS, type MaskingKind } from "./masking.ts";
import { ReceivedMemory } from "./received-memory.ts";
import type { Transport, TransportHandler } from "./transport.ts";
import { TransportReads } from "./transport-reads.ts";
import { UnfinishedMessage } from "./unfinished-message.ts";
import { WireWriter } from "./wire-writer.ts";

/** The part of a `ws` WebSocket that a transport uses; typed by shape, so that this package needs no WebSocket library. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  /** 1: open, as of the WebSocket API. */
  readonly readyState: number;
  close(code: number, reason: string): void;
  terminate(): void;
  on(event: "message", listener: (data: Uint8Array, isBinary: boolean) => void): unknown;
  on(event: "ping" | "pong", listener: (data: Uint8Array) => void): unknown;
  on(event: "close", listener: (code: number, reason: Uint8Array) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/**
 * How much may wait between us and the kernel. Small, because whatever waits here cannot be overtaken by a ping or a
 * keystroke; large enough that a turn of the event loop does not run dry.
 */
const HIGH_WATER_BYTES = 256 * 1024;
const OPEN = 1;
/** Who listens to the socket's bytes: ws, and the transport. If there are more, the chunks are theirs as well. */
const LISTENERS = 2;
/** Nobody takes messages for a moment only, while the handshake changes hands; a peer cannot fill this by itself. */
const MOST_KEPT_MESSAGES = 1024;

/**
 * A transport over an open WebSocket and the raw socket below it. The socket is needed for signs of life (ws reports
 * whole messages only), for knowing when it is drained, and for gathering writes.
 *
 * The WebSocket must deliver messages as it parses them: without compression, and with `allowSynchronousEvents`, as is the
 * default of ws. Otherwise memory of messages would be freed before they are parsed.
 */
export function webSocketTransport(
  webSocket: WebSocketLike,
  socket: Duplex,
  masking: MaskingKind,
): Transport {
  return new WebSocketTransport(webSocket, socket, masking);
}

type Kept = { readonly message: Uint8Array } | { readonly text: true };

class WebSocketTransport implements Transport {
  readonly #webSocket: WebSocketLike;
  readonly #socket: Duplex;
  /** Only where the bytes end in the kernel: any other Duplex may pass a buffer on, to be read by whomever later. */
  readonly #received: ReceivedMemory | undefined;
  readonly #wire: WireWriter;
  #isCorked = false;
  readonly #unfinished: UnfinishedMessage;
  #handler: TransportHandler | undefined;
  #kept: Kept[] = [];
  #closed: { readonly code: number; readonly reason: string } | undefined;
  #told = false;

  constructor(webSocket: WebSocketLike, socket: Duplex, masking: MaskingKind) {
    this.#webSocket = webSocket;
    this.#socket = socket;
    const isKernels = socket instanceof Socket;
    if (isKernels) {
      this.#received = new ReceivedMemory();
      new TransportReads(socket, this.#received);
    }
    this.#wire = new WireWriter(socket, { masking: MASKINGS[masking], isReusable: isKernels });
    this.#unfinished = new UnfinishedMessage(() => {
      this.#closed ??= { code: 1006, reason: "a message did not become whole" };
      webSocket.terminate();
    });
    webSocket.binaryType = "nodebuffer";
    webSocket.on("message", (data, isBinary) => {
      this.#unfinished.ended();
      this.#receive(isBinary ? { message: this.#own(data) } : { text: true });
    });
    // A server's pong is the ping's payload where it was read, and it may wait long to be written.
    webSocket.on("ping", (data) => {
      this.#unfinished.ended();
      this.#received?.keep(data);
    });
    webSocket.on("pong", () => this.#unfinished.ended());
    webSocket.on("close", (code, reason) => {
      this.#unfinished.close();
      this.#closed ??= { code, reason: Buffer.from(reason).toString("utf8") };
      this.#tellClosed();
    });
    webSocket.on("error", ignore); // 'close' follows and is what counts
    // Behind the listener of ws, so every message that this chunk completes was delivered by now.
    socket.on("data", (chunk: Uint8Array) => {
      this.#received?.chunk(chunk, this.#isOurs);
      this.#unfinished.chunk(chunk.length);
      this.#handler?.onHeard();
    });
    socket.on("drain", () => this.#handler?.onDrain());
  }

  get handler(): TransportHandler | undefined {
    return this.#handler;
  }

  set handler(handler: TransportHandler | undefined) {
    this.#handler = handler;
    while (this.#handler !== undefined && this.#kept.length > 0) this.#deliver(this.#kept.shift() as Kept);
    this.#tellClosed();
  }

  get highWaterBytes(): number {
    return Math.max(HIGH_WATER_BYTES, this.#socket.writableHighWaterMark);
  }

  get bufferedBytes(): number {
    return this.#webSocket.bufferedAmount + this.#wire.pendingBytes;
  }

  send(frame: Uint8Array): void {
    if (this.#webSocket.readyState !== OPEN) return;
    this.#wire.append(frame);
    if (!this.#isCorked) this.#wire.flush();
  }

  cork(): void {
    this.#isCorked = true;
    // What is written meanwhile counts as buffered until the turn is over: without that a turn would hand over all that the kernel
    // takes, and over a lossy line a third of the rate is left.
    this.#socket.cork();
  }

  uncork(): void {
    this.#isCorked = false;
    this.#wire.flush();
    this.#socket.uncork();
    this.#wire.settle();
  }

  close(code: number, reason: string): void {
    this.#wire.flush(); // behind a Close nothing is read
    this.#webSocket.close(code, reason);
  }

  terminate(): void {
    this.#webSocket.terminate();
  }

  /** Does nobody else read the socket? */
  get #isOurs(): boolean {
    return this.#socket.listenerCount("data") <= LISTENERS;
  }

  /** The message as it may be kept: in memory that nobody else will write to. */
  #own(message: Uint8Array): Uint8Array {
    // A writer at the other end of a Duplex in this process uses its buffers again when they are acknowledged.
    return this.#received?.message(message, this.#isOurs) ?? new Uint8Array(message);
  }

  #receive(kept: Kept): void {
    if (this.#handler !== undefined) this.#deliver(kept);
    else if (this.#kept.length < MOST_KEPT_MESSAGES) this.#kept.push(kept);
    else this.#webSocket.terminate();
  }

  #deliver(kept: Kept): void {
    if ("message" in kept) this.#handler?.onMessage(kept.message);
    else this.#handler?.onText();
  }

  #tellClosed(): void {
    if (this.#handler === undefined || this.#closed === undefined || this.#told) return;
    this.#told = true;
    this.#handler.onClose(this.#closed.code, this.#closed.reason);
  }
}

function ignore(): void {}
