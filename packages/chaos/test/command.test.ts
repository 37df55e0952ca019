import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { run } from "../src/command.ts";
import { USAGE } from "../src/command-line.ts";
import { End, until } from "./rig.ts";

/** The command in this process, in front of an echo. */
class Running implements AsyncDisposable {
  text = "";
  complaints = "";
  exitCode: Promise<number> = Promise.resolve(0);
  readonly #ended = new AbortController();
  readonly #echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined).pipe(socket);
  });

  static async start(...flags: string[]): Promise<Running> {
    const running = new Running();
    running.#echo.listen(0, "127.0.0.1");
    await once(running.#echo, "listening");
    const target = `127.0.0.1:${(running.#echo.address() as AddressInfo).port}`;
    running.exitCode = run(
      ["--listen", "127.0.0.1:0", "--target", target, ...flags],
      running.#surroundings(),
    );
    await Promise.race([running.exitCode, until(() => running.text.includes("\n"))]);
    return running;
  }

  get port(): number {
    return Number(/listening on 127\.0\.0\.1:(\d+)/.exec(this.text)?.[1]);
  }

  visit(): End {
    return new End(connect({ host: "127.0.0.1", port: this.port, allowHalfOpen: true }));
  }

  /** Waits until it has told this. */
  async told(what: RegExp): Promise<void> {
    await until(() => what.test(this.text));
  }

  async end(): Promise<number> {
    this.#ended.abort();
    return await this.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    this.#echo.close();
  }

  #surroundings(): Parameters<typeof run>[1] {
    const write = (to: "text" | "complaints") => (text: string) => {
      this[to] += text;
    };
    return {
      stdout: { write: write("text") },
      stderr: { write: write("complaints") },
      signal: this.#ended.signal,
    };
  }
}

describe("the proxy as a command", () => {
  it("carries, tells of it, and sums up when it is told to end", async () => {
    await using chaos = await Running.start("--seed", "7");
    const visitor = chaos.visit();
    visitor.socket.end("hello");
    await visitor.ended;
    expect(visitor.received.toString()).toBe("hello");
    await chaos.told(/#1 over: 5 bytes up, 5 bytes down/);
    expect(await chaos.end()).toBe(0);
    expect(chaos.text).toMatch(/^chaos proxy listening on 127\.0\.0\.1:\d+, to 127\.0\.0\.1:\d+, seed 7\n/);
    expect(chaos.text).toMatch(/ s {2}#1 connected\n/);
    expect(chaos.text).toMatch(
      /the end: 1 connection; 0 cut by RST, 0 by FIN; 0 refused; 5 bytes up, 5 bytes down\n$/,
    );
  });

  it("cuts at intervals", async () => {
    await using chaos = await Running.start("--cut-every", "50ms");
    const visitor = chaos.visit();
    expect(await visitor.closed).toBe("ECONNRESET");
    await chaos.told(/#1 cut by RST\n/);
  });

  it.each(["up", "down", "both"])(
    "cuts each connection after an exact number of bytes (%s)",
    async (direction) => {
      await using chaos = await Running.start(
        "--cut-after",
        "1000",
        "--how",
        "fin",
        "--direction",
        direction,
      );
      for (const id of [1, 2]) {
        const visitor = chaos.visit();
        visitor.socket.write(Buffer.alloc(5_000));
        await visitor.ended;
        visitor.socket.end();
        expect(visitor.bytes).toBeLessThanOrEqual(1_000);
        await chaos.told(new RegExp(`#${id} cut by FIN, in the middle`));
      }
    },
  );

  it("stalls, and goes on, again and again", async () => {
    await using chaos = await Running.start("--stall-for", "50ms", "--every", "50ms");
    const visitor = chaos.visit();
    await chaos.told(/(nothing moves\n.*everything passes\n.*){2}/s);
    visitor.socket.end("still here");
    await visitor.ended;
    expect(visitor.received.toString()).toBe("still here");
  });

  it("refuses for a while, and tells how often", async () => {
    await using chaos = await Running.start("--refuse-for", "1m", "--every", "1ms");
    const visitor = chaos.visit();
    await visitor.closed;
    await chaos.visit().closed;
    await chaos.told(/new connections are refused for 60 s\n/);
    expect(await chaos.end()).toBe(0);
    expect(chaos.text).toMatch(/1 refused\n/);
  });

  it("shapes what passes, and says how", async () => {
    await using chaos = await Running.start("--delay", "20ms", "--slice", "1", "--flip", "4");
    await chaos.told(/both ways: 20 ms late, pieces of 1 bytes at most, a bit turned over every 4 bytes\n/);
    const visitor = chaos.visit();
    visitor.socket.end("abcdefgh");
    await visitor.ended;
    expect(visitor.bytes).toBe(8);
    expect(await chaos.end()).toBe(0);
    expect(chaos.text).toMatch(/4 bits turned over\n$/);
  });

  it("follows a plan, round after round, and ends by itself after a time", async () => {
    await using chaos = await Running.start("--plan", "cuts", "--seed", "3", "--for", "100ms");
    expect(await chaos.exitCode).toBe(0);
    expect(chaos.text).toMatch(/plan cuts, round 1 \(seed 3\)\n/);
    expect(chaos.text).toMatch(/the end: /);
  });

  it("resets visitors whose target is not there, and says why", async () => {
    await using chaos = await Running.start("--target", "127.0.0.1:1");
    expect(await chaos.visit().closed).toBe("ECONNRESET");
    await chaos.told(/#1 reset: the target cannot be reached \(connect ECONNREFUSED/);
  });

  it("shows its help", async () => {
    await using chaos = await Running.start("--help");
    expect(await chaos.exitCode).toBe(0);
    expect(chaos.text).toBe(USAGE);
  });

  it("ends with 2 and one sentence for a wrong flag, and with 69 where it cannot listen", async () => {
    await using wrong = await Running.start("--slice", "little");
    expect(await wrong.exitCode).toBe(2);
    expect(wrong.complaints).toMatch(/^chaos: --slice is [^\n]+\n$/);

    await using first = await Running.start();
    await using second = await Running.start("--listen", `127.0.0.1:${first.port}`);
    expect(await second.exitCode).toBe(69);
    expect(second.complaints).toMatch(/^chaos: listen EADDRINUSE/);
  });
});
