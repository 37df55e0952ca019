import { Duplex } from "node:stream";
import { CulvertError, type ErrorCode, type Stream, type StreamHandler } from "@culvert/protocol";
import { giveBack } from "./received-memory.ts";
import { WriteBuffer } from "./write-buffer.ts";

export interface TunnelStreamOptions {
  /** Does the peer still have to accept? Default true, as for a stream that this side opens; false: it was accepted here. */
  readonly connecting?: boolean;
}

/**
 * A stream as a Node Duplex, for `pipeline`, `http.request({ createConnection })`, `tls.connect({ socket })` and whoever
 * wants bytes without a port. May be written to at once: what is written before the peer accepted travels behind the
 * OPEN.
 *
 * Events beside those of a Duplex: 'connect' and 'ready' when the peer accepts, 'timeout' after {@link setTimeout}. 'error'
 * carries a CulvertError; a listener is not needed, without one the stream just closes. When the peer breaks off after it
 * sent everything, the reader still gets everything and the error comes behind the end.
 *
 * `destroy()` aborts both directions at once and drops what has not left yet, so call `end()` and wait for 'close' where
 * everything must arrive. Whoever has the stream owns it.
 */
export class TunnelStream extends Duplex implements StreamHandler {
  /** Does the peer still have to accept? */
  connecting: boolean;
  /** Bytes that came from the peer and were handed to the reader. */
  bytesRead = 0;
  /** Bytes written. */
  bytesWritten = 0;
  /** Milliseconds given to {@link setTimeout}. */
  timeout: number | undefined;

  #stream: Stream | undefined;
  /** Waits until there is a stream to write to or to end. */
  #whenBound: (() => void) | undefined;
  /** The callback of the write (or of the end) that waits for room, or, after a break, for the reader. */
  #pending: ((error?: Error | null) => void) | undefined;
  readonly #buffer = new WriteBuffer();
  #wantsData = false;
  #receiving: "open" | "ended" | "handed over" = "open";
  #isSendingEnded = false;
  /** Destroyed after both ends were said, and 'close' waits until the last byte has left. */
  #whenFinished: (() => void) | undefined;
  #isFinished = false;
  /** Why the stream is over, where that is known. */
  #broken: CulvertError | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: TunnelStreamOptions = {}) {
    super({
      allowHalfOpen: true,
      decodeStrings: false,
      // Nothing is read ahead: what waits is in our own buffer, where small chunks are gathered.
      readableHighWaterMark: 1,
    });
    this.connecting = options.connecting ?? true;
    // A reset is everyday life for a network stream and must not kill a process that forgot to listen.
    this.on("error", ignore);
  }

  /** Gives it the stream that it is a handler of. Called once, by whoever opened or accepted the stream. */
  bind(stream: Stream): void {
    if (this.destroyed) {
      stream.reset("cancelled");
      return;
    }
    this.#stream = stream;
    const run = this.#whenBound;
    this.#whenBound = undefined;
    run?.();
  }

  // -- from the stream

  onAccept(): void {
    if (this.destroyed) return;
    this.connecting = false;
    contain(() => {
      this.emit("connect");
      this.emit("ready");
    });
  }

  onData(chunk: Uint8Array): void {
    if (this.destroyed) return;
    this.#timer?.refresh();
    if (this.#wantsData && this.#buffer.bytes === 0) contain(() => this.#handOver(asOwn(chunk)));
    else if (!this.#buffer.push(chunk)) giveBack(chunk);
  }

  onEnd(): void {
    this.#receiving = "ended";
    contain(() => this.#deliver());
  }

  onFinished(): void {
    this.#isFinished = true;
    this.#whenFinished?.();
  }

  onReset(code: ErrorCode, receivedAll: boolean): void {
    this.#stream = undefined;
    this.#broken = new CulvertError(code);
    if (this.#whenFinished !== undefined) {
      this.#whenFinished();
      return;
    }
    if (!receivedAll || this.readableEnded) this.destroy(this.#broken);
    else this.once("end", () => this.destroy(this.#broken));
  }

  onWritable(): void {
    const pending = this.#pending;
    this.#pending = undefined;
    contain(() => pending?.());
  }

  #deliver(): void {
    while (this.#wantsData && this.#buffer.bytes > 0) this.#handOver(this.#buffer.take()!);
    if (this.#receiving !== "ended" || this.#buffer.bytes > 0 || this.destroyed) return;
    this.#receiving = "handed over";
    this.push(null);
  }

  #handOver(chunk: Uint8Array): void {
    this.bytesRead += chunk.length;
    this.#stream?.consumed(chunk.length); // before a listener of the caller runs, which may throw
    this.#wantsData = this.push(chunk);
  }

  // -- from the Duplex

  override _read(): void {
    this.#wantsData = true;
    this.#deliver();
  }

  override _write(chunk: Chunk, encoding: BufferEncoding, callback: WriteCallback): void {
    this.#writeAll([{ chunk, encoding }], callback);
  }

  override _writev(chunks: { chunk: Chunk; encoding: BufferEncoding }[], callback: WriteCallback): void {
    this.#writeAll(chunks, callback);
  }

  #writeAll(chunks: readonly { chunk: Chunk; encoding: BufferEncoding }[], callback: WriteCallback): void {
    const stream = this.#sendTo(callback, () => this.#writeAll(chunks, callback));
    if (stream === undefined) return;
    this.#timer?.refresh();
    let hasRoom = true;
    for (const { chunk, encoding } of chunks) {
      const bytes = typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk;
      this.bytesWritten += bytes.length;
      hasRoom = stream.write(bytes);
    }
    if (hasRoom) callback();
    else this.#pending = callback;
  }

  override _final(callback: WriteCallback): void {
    const stream = this.#sendTo(callback, () => this._final(callback));
    if (stream === undefined) return;
    this.#isSendingEnded = true;
    stream.end();
    callback();
  }

  /**
   * Where to send; or undefined, and then it will be tried `again` when bound. Of a stream that broke after all had
   * arrived the reader shall get all before anything fails, so there the callback waits for the end.
   */
  #sendTo(callback: WriteCallback, again: () => void): Stream | undefined {
    if (this.#broken !== undefined) this.#pending = callback;
    else if (this.#stream === undefined) this.#whenBound = again;
    return this.#stream;
  }

  override _destroy(error: Error | null, callback: WriteCallback): void {
    clearTimeout(this.#timer);
    const stream = this.#stream;
    const isWhole = this.#isSendingEnded && this.#receiving !== "open";
    // A stream whose ends have both been said is left alone: what is still queued arrives.
    if (!isWhole) stream?.reset(error instanceof CulvertError ? error.code : "cancelled");
    else stream?.consumed(this.#buffer.bytes);
    this.#buffer.clear();
    this.#stream = undefined;
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.(error ?? new CulvertError("cancelled"));
    // 'close' says that everything has left; until then the stream goes on by itself.
    if (isWhole && stream !== undefined && !this.#isFinished) this.#whenFinished = () => callback(error);
    else callback(error);
  }

  // -- what callers of sockets expect

  /** Emits 'timeout' when nothing was sent or received for `ms`; 0 stops that. Closes nothing by itself. */
  setTimeout(ms: number, onTimeout?: () => void): this {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.timeout = ms;
    if (ms > 0 && !this.destroyed) {
      this.#timer = setTimeout(() => this.emit("timeout"), ms).unref();
      if (onTimeout !== undefined) this.once("timeout", onTimeout);
    } else if (onTimeout !== undefined) this.off("timeout", onTimeout);
    return this;
  }

  /** Does nothing: the session sends without delay. */
  setNoDelay(): this {
    return this;
  }

  /** Does nothing: the session keeps itself alive. */
  setKeepAlive(): this {
    return this;
  }

  /** Does nothing: the session decides how long the process lives. */
  ref(): this {
    return this;
  }

  /** Does nothing, see {@link ref}. */
  unref(): this {
    return this;
  }
}

type Chunk = Uint8Array | string;
type WriteCallback = (error?: Error | null) => void;

function ignore(): void {}

/** The reader may keep it for long: it must not keep a larger block alive, which the transport would like to use again. */
function asOwn(chunk: Uint8Array): Uint8Array {
  if (chunk.length * 2 >= chunk.buffer.byteLength) return chunk;
  const copy = new Uint8Array(chunk);
  giveBack(chunk);
  return copy;
}

/**
 * Runs what may call listeners of the caller. One that throws must end as an uncaught exception, as with a socket, and not
 * inside the session, where it would stop every other stream.
 */
function contain(run: () => void): void {
  try {
    run();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
