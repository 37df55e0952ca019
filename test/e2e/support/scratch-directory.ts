import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A directory of its own under the system's temporary one. `using` removes it. */
export class ScratchDirectory implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), "culvert-e2e-"));

  file(name: string): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
