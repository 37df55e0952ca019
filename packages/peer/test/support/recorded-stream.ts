import { EventEmitter } from "node:events";
import type { ErrorCode, OpenRequest, Stream } from "@culvert/protocol";

/**
 * A stream without a peer: remembers what its owner does with it. Emits 'write', 'end', 'reset' and 'consumed', each after
 * the fact.
 */
export class RecordedStream extends EventEmitter implements Stream {
  readonly id = 1;
  readonly request: OpenRequest = { kind: "tcp" };
  /** What `write` answers. */
  hasRoom = true;
  isSendable = false;
  isCrowded = false;
  /** How long its session had no transport. */
  detachedMs = 0;
  written: Uint8Array[] = [];
  consumedBytes = 0;
  isEnded = false;
  resets: ErrorCode[] = [];

  /** Bytes that have left; nothing does by itself, it keeps all that is written. */
  leftBytes = 0;

  get writableBytes(): number {
    return this.writtenBytes - this.leftBytes;
  }

  /** Of all writes. */
  writtenBytes = 0;

  attachedMs(now: number): number {
    return now - this.detachedMs;
  }

  write(chunk: Uint8Array): boolean {
    this.written.push(new Uint8Array(chunk));
    this.writtenBytes += chunk.length;
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
