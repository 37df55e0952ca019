import { EventEmitter } from "node:events";
import type { ErrorCode, OpenRequest, Stream } from "@culvert/protocol";

/**
 * A stream without a peer: remembers what its owner does with it. Emits 'write', 'end', 'reset' and 'consumed', each after
 * the fact.
 */
export class RecordedStream extends EventEmitter implements Stream {
  readonly id = 1;
  readonly request: OpenRequest = { kind: "tcp" };
  readonly writableBytes = 0;
  /** What `write` answers. */
  hasRoom = true;
  written: Uint8Array[] = [];
  consumedBytes = 0;
  isEnded = false;
  resets: ErrorCode[] = [];

  get writtenBytes(): number {
    return this.written.reduce((sum, { length }) => sum + length, 0);
  }

  write(chunk: Uint8Array): boolean {
    this.written.push(chunk);
    this.emit("write");
    return this.hasRoom;
  }

  end(): void {
    this.isEnded = true;
    this.emit("end");
  }

  reset(code: ErrorCode): void {
    this.resets.push(code);
    this.emit("reset");
  }

  consumed(bytes: number): void {
    this.consumedBytes += bytes;
    this.emit("consumed");
  }
}
