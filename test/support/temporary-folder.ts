import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder that is gone when it is disposed of; its path is short enough for Unix sockets. */
export class TemporaryFolder implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), "culvert-"));
  #count = 0;

  /** The endpoint of a Unix socket that is not there yet. */
  socket(): string {
    this.#count += 1;
    return `unix://${join(this.path, `${this.#count}.sock`)}`;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
