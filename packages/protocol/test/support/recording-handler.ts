import type { ErrorCode } from "../../src/errors.ts";
import type { StreamHandler } from "../../src/stream.ts";
import { concat, hex } from "./hex.ts";

/** Writes down what the owner of a stream hears, one short line each. */
export class RecordingHandler implements StreamHandler {
  readonly log: string[] = [];
  readonly chunks: Uint8Array[] = [];

  /** Everything since the last call, joined. */
  heard(): string {
    return this.log.splice(0).join(", ");
  }

  get data(): Uint8Array {
    return concat(this.chunks);
  }

  onAccept(): void {
    this.log.push("accept");
  }

  onData(chunk: Uint8Array): void {
    this.chunks.push(chunk);
    this.log.push(chunk.length <= 8 ? `data ${hex(chunk)}` : `data of ${chunk.length}`);
  }

  onEnd(): void {
    this.log.push("end");
  }

  onReset(code: ErrorCode, receivedAll: boolean): void {
    this.log.push(`reset ${code}${receivedAll ? " after all" : ""}`);
  }

  onWritable(): void {
    this.log.push("writable");
  }

  onFinished(): void {
    this.log.push("finished");
  }
}
