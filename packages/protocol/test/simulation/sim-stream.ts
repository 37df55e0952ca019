import type { ErrorCode, OpenRequest, Stream, StreamHandler } from "../../src/index.ts";

/** Every byte says whose it is and where it stands, so that one that is lost, doubled or moved is seen at once. */
function byteAt(connection: number, direction: 0 | 1, offset: number): number {
  return (connection * 131 + direction * 71 + offset * 7 + (offset >>> 8) * 29) & 0xff;
}

export type Ending =
  /** Both directions ended in good order. */
  | "finished"
  /** The peer or the session reset it. */
  | "reset"
  /** This side reset it. */
  | "gave up";

/** One side's application of one stream: writes position-coded bytes, checks the ones it gets. */
export class SimStream implements StreamHandler {
  readonly connection: number;
  readonly side: 0 | 1;
  stream: Stream | undefined;
  peer: SimStream | undefined;
  written = 0;
  hasEnded = false;
  received = 0;
  unconsumed = 0;
  sawEnd = false;
  sawAccept = false;
  ending: Ending | undefined;
  resetCode: ErrorCode | undefined;
  /** Never takes anything that it got. */
  readonly stalls: boolean;
  isPaused = false;
  readonly #onGot: (stream: SimStream) => void;

  constructor(connection: number, side: 0 | 1, stalls: boolean, onGot: (stream: SimStream) => void) {
    this.connection = connection;
    this.side = side;
    this.stalls = stalls;
    this.#onGot = onGot;
  }

  get isLive(): boolean {
    return this.ending === undefined && this.stream !== undefined;
  }

  write(length: number): void {
    if (this.stream === undefined || this.hasEnded || this.ending !== undefined) return;
    const chunk = new Uint8Array(length);
    for (let i = 0; i < length; i += 1) chunk[i] = byteAt(this.connection, this.side, this.written + i);
    this.written += length;
    this.isPaused = !this.stream.write(chunk);
  }

  end(): void {
    if (this.hasEnded || this.ending !== undefined) return;
    this.hasEnded = true;
    this.stream?.end();
  }

  reset(code: ErrorCode): void {
    if (this.ending !== undefined) return;
    this.ending = "gave up";
    this.stream?.reset(code);
  }

  take(bytes: number): void {
    const n = Math.min(bytes, this.unconsumed);
    if (n === 0) return;
    this.unconsumed -= n;
    this.stream?.consumed(n);
  }

  onAccept(): void {
    if (this.sawAccept) throw new Error(`connection ${this.connection}: accepted twice`);
    this.sawAccept = true;
  }

  onData(chunk: Uint8Array): void {
    if (this.ending !== undefined || this.sawEnd)
      throw new Error(`connection ${this.connection}: data after the end`);
    const from = this.side === 0 ? 1 : 0;
    for (let i = 0; i < chunk.length; i += 1) {
      if (chunk[i] !== byteAt(this.connection, from, this.received + i)) {
        throw new Error(
          `connection ${this.connection} side ${this.side}: wrong byte at ${this.received + i}`,
        );
      }
    }
    this.received += chunk.length;
    this.unconsumed += chunk.length;
    if (this.received > (this.peer?.written ?? 0))
      throw new Error(`connection ${this.connection}: more than was written`);
    this.#onGot(this);
  }

  onEnd(): void {
    if (this.sawEnd || this.ending !== undefined)
      throw new Error(`connection ${this.connection}: ended twice`);
    this.sawEnd = true;
    if (this.peer?.hasEnded !== true || this.received !== this.peer.written) {
      throw new Error(
        `connection ${this.connection}: a clean end after ${this.received} of ${this.peer?.written} bytes`,
      );
    }
  }

  onReset(code: ErrorCode, receivedAll: boolean): void {
    if (this.ending !== undefined)
      throw new Error(`connection ${this.connection}: reset after ${this.ending}`);
    if (receivedAll !== this.sawEnd)
      throw new Error(`connection ${this.connection}: receivedAll is ${receivedAll}`);
    this.ending = "reset";
    this.resetCode = code;
    this.unconsumed = 0;
  }

  onWritable(): void {
    this.isPaused = false;
  }

  onFinished(): void {
    if (this.ending !== undefined)
      throw new Error(`connection ${this.connection}: finished after ${this.ending}`);
    if (!this.sawEnd || !this.hasEnded)
      throw new Error(`connection ${this.connection}: finished before both ends`);
    this.ending = "finished";
    if (this.unconsumed === 0 || this.connection % 3 !== 0) return;
    // Its reader goes away without taking the rest: what was promised for that must become free all the same.
    this.unconsumed = 0;
    this.stream?.reset("connection_reset");
  }
}

export function connectionOf(request: OpenRequest): number {
  return Number(request.visitor);
}
