import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** An example as a reader runs it: a process of its own, against the built packages. */
class Run {
  output = "";
  readonly #process: ChildProcess;
  readonly #closed: Promise<unknown>;

  constructor(path: string, ...flags: string[]) {
    // The reader's terminal may want colours; here there is none.
    const { FORCE_COLOR: _, ...env } = process.env;
    this.#process = spawn(process.execPath, [path, ...flags], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...env, NODE_OPTIONS: "" },
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
        this.#process.emit("said");
      });
    }
    this.#closed = once(this.#process, "close");
    onTestFinished(() => void this.#process.kill("SIGKILL"));
  }

  /** Its exit code, when it has ended and everything that it said is there. */
  async exitCode(): Promise<number | null> {
    await this.#closed;
    return this.#process.exitCode;
  }

  /** Resolves when it has said this; fails when it ends before. */
  async says(text: string): Promise<void> {
    const ended = this.#closed.then(() => Promise.reject(new Error(`it ended and said: ${this.output}`)));
    ended.catch(() => undefined);
    while (!this.output.includes(text)) await Promise.race([once(this.#process, "said"), ended]);
  }

  /** Ctrl-C. */
  interrupt(): void {
    this.#process.kill("SIGINT");
  }
}

const EXAMPLES = [
  ["expose-service", "The printer takes POST /tray/2"],
  ["reach-service", "The inventory answers GET /shelf/7"],
  ["embed-in-http-server", "the front page of the application, through the tunnel"],
  ["jwt", "The archive answers GET /box/7"],
  ["custom-stream", "the oracle beyond the client said: You asked: will it hold?"],
] as const;

describe.each(EXAMPLES)("the example %s", (name, line) => {
  it("does what it promises, and ends by itself", async () => {
    const run = new Run(`examples/${name}/main.ts`);
    expect(await run.exitCode()).toBe(0);
    expect(run.output).toContain(line);
    expect(run.output).toMatch(/\ndone\n$/);
  });

  it("stays when asked to, until Ctrl-C", async () => {
    const run = new Run(`examples/${name}/main.ts`, "--stay");
    await run.says("(Ctrl-C ends)");
    run.interrupt();
    expect(await run.exitCode()).toBe(0);
    expect(run.output).toMatch(/try it: .*\ndone\n$/);
  });
});

describe("the demo", () => {
  it("carries everything, whatever becomes of the WebSocket", async () => {
    const run = new Run("examples/demo/main.ts", "--mib", "8");
    expect(await run.exitCode()).toBe(0);
    expect(run.output.match(/SHA-256 sent .* equal\n/g)).toHaveLength(4);
    expect(run.output).toContain("\nEvery byte arrived, once and in order, and no connection broke.\n");
    expect(run.output).not.toContain("\x1b"); // colours and lines that change are for terminals
  });

  it("stays when asked to: both tunnels serve, the link can be cut, and Ctrl-C ends it", async () => {
    const run = new Run("examples/demo/main.ts", "--mib", "1", "--stay");
    await run.says("Ctrl-C ends it all.");
    const [connect, listen, , cut] = [...run.output.matchAll(/curl .*?(http:\S+[a-z\d/])/g)].map(
      ([, url]) => url!,
    );
    const get = async (url: string | undefined): Promise<string> => await (await fetch(url!)).text();
    expect(await get(connect)).toBe("Hello from the warehouse!\n");
    expect(await get(listen)).toBe("Hello from the workshop!\n");
    expect(await get(cut)).toBe("cut\n");
    await run.says("cut, and back after");
    expect(await get(connect)).toBe("Hello from the warehouse!\n");
    run.interrupt();
    expect(await run.exitCode()).toBe(0);
  });

  it("says what is wrong with its flags, in one line", async () => {
    const run = new Run("examples/demo/main.ts", "--mib", "many");
    expect(await run.exitCode()).toBe(1);
    expect(run.output).toBe("The demo failed: --mib must be an integer from 1 to 100000, not many\n");
  });
});
