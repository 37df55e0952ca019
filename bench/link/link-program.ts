import { once } from "node:events";
import { join } from "node:path";
import { Program } from "../program.ts";
import type { LinkOptions } from "./link.ts";

/** A running link process. */
export class LinkProgram {
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  static async start(options: LinkOptions): Promise<LinkProgram> {
    const script = join(import.meta.dirname, "link-process.ts");
    const program = new Program(process.execPath, [script, JSON.stringify(options)], { ipc: true });
    await Promise.race([once(program.child, "message"), program.ended.then(() => program.check())]);
    return new LinkProgram(program);
  }

  /** Resets every connection on it; resolves with how many there were. */
  async cut(): Promise<number> {
    this.#program.check();
    const answer = once(this.#program.child, "message");
    this.#program.child.send("cut");
    const [{ cut }] = (await answer) as [{ cut: number }];
    return cut;
  }

  async stop(): Promise<void> {
    await this.#program.stop();
  }
}
