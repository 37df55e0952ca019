import { createHash } from "node:crypto";
import { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { freePort } from "../../../test/support/free-port.ts";
import { run } from "../src/run.ts";
import { Recorder, temporaryDirectory, temporaryFile } from "./support.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";

/** A command that runs in this process, with streams in memory and signals from a stand-in. */
class Running {
  readonly stdout = new Recorder();
  readonly stderr = new Recorder();
  readonly host = new EventEmitter();
  readonly exitCode: Promise<number>;

  constructor(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.exitCode = run(argv, env, { stdout: this.stdout, stderr: this.stderr }, this.host);
    onTestFinished(async () => {
      this.host.emit("SIGTERM");
      await this.exitCode;
    });
  }

  get log(): Record<string, unknown>[] {
    return this.stderr.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Resolves with the URL of a server that is ready. */
  async url(): Promise<string> {
    const text = await this.stdout.until(/\n/);
    return /^culvert server listening on (\S+)\n$/.exec(text)![1]!;
  }
}

async function httpService(answer: string): Promise<{ port: number; server: Server }> {
  const server = createServer((_request, response) => response.end(answer));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, server };
}

/** The port of a WebSocket server that closes each connection at once, with that code and reason. */
async function closingWebSocket(code: number, reason: string): Promise<number> {
  const server = createServer();
  server.on("upgrade", (request, socket) => {
    const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`; // RFC 6455 section 1.3
    const accept = createHash("sha1").update(key).digest("base64");
    const body = Buffer.concat([Buffer.from([code >>> 8, code & 0xff]), Buffer.from(reason)]);
    const head = `HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n`;
    socket.write(`${head}Sec-WebSocket-Protocol: culvert.v1\r\n\r\n`);
    socket.on("error", () => undefined).resume();
    socket.end(Buffer.concat([Buffer.from([0x88, body.length]), body]));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

async function busyPort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

async function outputOf(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<[number, string, string]> {
  const running = new Running(argv, env);
  return [await running.exitCode, running.stdout.text, running.stderr.text];
}

describe("run", () => {
  it("writes help and version on stdout, and a mistake on stderr", async () => {
    expect(await outputOf(["--version"])).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/), ""]);
    expect(await outputOf(["client", "--help"])).toEqual([
      0,
      expect.stringMatching(/^Usage: culvert client/),
      "",
    ]);
    expect(await outputOf([])).toEqual([2, "", expect.stringMatching(/^Usage: culvert </)]);
    expect(await outputOf(["server", "--prot", "1"])).toEqual([
      2,
      "",
      "culvert: there is no flag --prot: did you mean --port?\n",
    ]);
  });

  it("tells what the library finds wrong as a mistake too", async () => {
    const [exitCode, stdout, stderr] = await outputOf(["server", "--host", "0.0.0.0"]);
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(
      /^culvert: --host 0\.0\.0\.0 can be reached from other machines, so clients must be authenticated: .*\.\n$/,
    );
  });

  it("carries connections both ways, says what is ready, and ends well when asked", async () => {
    const { port } = await httpService("hello");
    const server = new Running(["server", "--port", "0"]);
    const client = new Running([
      "client",
      await server.url(),
      "-L",
      `0:localhost:${port}`,
      "-R",
      `0:localhost:${port}`,
    ]);
    await client.stdout.until(/remote.*\n/);
    const [connected, local, remote] = client.stdout.lines;
    expect(client.stdout.lines).toHaveLength(3);
    expect(connected).toBe(`culvert client connected to ${await server.url()}`);
    for (const [line, side] of [
      [local, "local"],
      [remote, "remote"],
    ] as const) {
      const match = /^tunnel (\w+) tcp:\/\/127\.0\.0\.1:(\d+) -> (\S+) ready$/.exec(line!)!;
      expect([match[1], match[3]]).toEqual([side, `tcp://localhost:${port}`]);
      const response = await fetch(`http://127.0.0.1:${match[2]}/`, { headers: { connection: "close" } });
      expect(await response.text()).toBe("hello");
    }
    client.host.emit("SIGINT");
    expect(await client.exitCode).toBe(0);
    server.host.emit("SIGTERM");
    expect(await server.exitCode).toBe(0);
    expect(client.host.eventNames()).toEqual([]);
    expect(server.log.every(({ level }) => level === "info")).toBe(true);
  });

  it("speaks JSON on request", async () => {
    const server = new Running(["server", "--port", "0", "--json"]);
    await server.stdout.until(/\n/);
    const { ready, url } = JSON.parse(server.stdout.text) as { ready: string; url: string };
    expect(ready).toBe("server");
    const client = new Running(["client", url, "-L", "0:localhost:1", "--json"]);
    await client.stdout.until(/tunnel.*\n/);
    expect(client.stdout.lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { ready: "client", server: url },
      {
        ready: "tunnel",
        side: "local",
        listen: expect.stringMatching(/^tcp:\/\/127\.0\.0\.1:\d+$/) as string,
        target: "tcp://localhost:1",
      },
    ]);
  });

  it("tells everything that is ready again after a session was lost", async () => {
    const first = new Running(["server", "--port", `${await freePort()}`]);
    const url = await first.url();
    const remote = `${await freePort()}:localhost:1`;
    const client = new Running(["client", url, "-L", "0:localhost:1", "-R", remote, "--retry-base", "20ms"]);
    await client.stdout.until(/remote.*\n/);
    const before = client.stdout.text;
    first.host.emit("SIGTERM");
    await first.exitCode;
    client.stdout.text = "";
    const second = new Running(["server", "--port", new URL(url).port]);
    await second.url();
    await client.stdout.until(/remote.*\n/);
    expect(client.stdout.text).toBe(before);
  });

  it("ends with 69 when the port is taken", async () => {
    const port = await busyPort();
    const taken = `the listen address is already in use`;
    const [serverCode, , serverText] = await outputOf([
      "server",
      "--port",
      `${port}`,
      "--log-format",
      "pretty",
    ]);
    expect(serverCode).toBe(69);
    expect(serverText).toBe(
      `culvert: ${taken}: 127.0.0.1:${port}; choose another port with --port, or stop the program that has this one.\n`,
    );
    const argv = ["client", "ws://127.0.0.1:1", "-L", `${port}:a:1`, "--log-format", "pretty"];
    const [clientCode, clientOut, clientText] = await outputOf(argv);
    expect([clientCode, clientOut]).toEqual([69, ""]);
    expect(clientText.split("\n").at(-2)).toBe(
      `culvert: ${taken}: tcp://127.0.0.1:${port} (EADDRINUSE); choose another port with -L, or stop the program that has this one.`,
    );
  });

  it("goes on when the server cannot listen, and gets the port when it is free", async () => {
    const busy = createTcpServer();
    const port = await freePort();
    await new Promise<void>((resolve) => busy.listen(port, "127.0.0.1", resolve));
    const server = new Running(["server", "--port", "0"]);
    const client = new Running([
      "client",
      await server.url(),
      "-R",
      `${port}:localhost:1`,
      "--retry-base",
      "20ms",
    ]);
    await client.stderr.until(/address_in_use/);
    await new Promise((resolve) => busy.close(resolve));
    await client.stdout.until(/remote.*\n/);
    expect(client.stdout.lines.at(-1)).toBe(
      `tunnel remote tcp://127.0.0.1:${port} -> tcp://localhost:1 ready`,
    );
  });

  it("ends with 69 at the limit of attempts, with the last reason", async () => {
    const argv = ["client", "ws://127.0.0.1:1", "-L", "0:a:1", "--retry-max", "3", "--retry-base", "1ms"];
    const client = new Running(argv);
    expect(await client.exitCode).toBe(69);
    expect(client.log.filter(({ msg }) => msg === "no connection to the server")).toHaveLength(3);
    expect(client.log.at(-1)).toMatchObject({
      level: "error",
      exitCode: 69,
      reason: expect.stringMatching(
        /^the limit on connection attempts is reached: .*ECONNREFUSED.*\.$/,
      ) as string,
      msg: "ended",
    });
  });

  it("ends with 77 when refused, and shows no token anywhere", async () => {
    const file = temporaryFile(TOKEN);
    const server = new Running(["server", "--port", "0", "--token-file", file, "--log-level", "trace"]);
    const wrong = "ffffffffffffffffffffffffffffffff";
    const header = ["--header", "Cookie: canary-in-a-header"];
    const argv = ["client", await server.url(), "-L", "0:a:1", "--log-level", "trace", ...header];
    const client = new Running(argv, { CULVERT_TOKEN: wrong });
    expect(await client.exitCode).toBe(77);
    expect(client.log.at(-1)).toMatchObject({ exitCode: 77 });
    const none = new Running(argv);
    expect(await none.exitCode).toBe(77);
    expect(none.stderr.text).toContain(
      "this client has no token and no key: add --token-file <file> or --login-key <file>, or set CULVERT_TOKEN",
    );
    const right = new Running(argv, { CULVERT_TOKEN: TOKEN });
    await right.stdout.until(/ready/);
    for (const { stdout, stderr } of [server, client, none, right]) {
      expect(stdout.text + stderr.text).not.toMatch(new RegExp(`${TOKEN}|${wrong}|canary`));
    }
  });

  it("ends with 75 when displaced", async () => {
    const server = new Running(["server", "--port", "0"]);
    const argv = ["client", await server.url(), "-L", "0:a:1", "--name", "twin"];
    const first = new Running(argv);
    await first.stdout.until(/ready/);
    const second = new Running(argv);
    await second.stdout.until(/ready/);
    expect(await first.exitCode).toBe(75);
  });

  it("stops while it is still looking for the server", async () => {
    const client = new Running(["client", "ws://127.0.0.1:1", "-L", "0:a:1"]);
    await client.stderr.until(/no connection to the server/);
    client.host.emit("SIGTERM");
    expect(await client.exitCode).toBe(0);
    expect(client.stdout.text).toBe("");
  });

  it("drains within its bound, and ends at once at the second signal", async () => {
    const holder = createTcpServer(() => undefined);
    await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void holder.close());
    const { port } = holder.address() as AddressInfo;
    const server = new Running(["server", "--port", "0"]);
    const argv = ["client", await server.url(), "-L", `0:127.0.0.1:${port}`, "--drain", "1h"];
    const client = new Running(argv);
    await client.stdout.until(/ready/);
    const local = /local tcp:\/\/127\.0\.0\.1:(\d+)/.exec(client.stdout.text)![1]!;
    const { connect } = await import("node:net");
    const accepted = new Promise((resolve) => holder.once("connection", resolve));
    const visitor = connect(Number(local), "127.0.0.1");
    visitor.on("error", () => undefined);
    onTestFinished(() => void visitor.destroy());
    await accepted;
    client.host.emit("SIGINT");
    await client.stderr.until(/stopping/);
    client.host.emit("SIGINT");
    expect(await client.exitCode).toBe(130);
    visitor.destroy(); // lets the client, which goes on in this process, finish
  });

  it("ends with 70 for what nobody caught, with the stack at debug level only", async () => {
    for (const [level, hasStack] of [
      ["info", false],
      ["debug", true],
    ] as const) {
      const server = new Running(["server", "--port", "0", "--log-level", level]);
      await server.url();
      server.host.emit("uncaughtException", new TypeError("x is not a function"));
      expect(await server.exitCode).toBe(70);
      expect(server.log.map(({ msg }) => msg)).toContain("internal error");
      expect(server.stderr.text.includes("    at ")).toBe(hasStack);
    }
  });

  it("says harmlessly what a server gave as its reason", async () => {
    const reason = "x\nculvert: all is well\u001b]0;t\u0007\u001b[2J\u009b31m\u202e";
    const port = await closingWebSocket(4000, reason);
    const argv = ["client", `ws://127.0.0.1:${port}`, "-R", "0:a:22", "--retry-max", "1"];
    const [exitCode, stdout, stderr] = await outputOf([
      ...argv,
      "--log-format",
      "pretty",
      "--log-level",
      "error",
    ]);
    expect([exitCode, stdout]).toEqual([69, ""]);
    expect(stderr).toMatch(/^culvert: [\x20-\x7e]*\n$/);
    expect(stderr).toContain("x\\u000aculvert: all is well\\u001b]0;t\\u0007\\u001b[2J\\u009b31m\\u202e");
  });

  it("goes on at SIGHUP, and reports at SIGUSR2", async () => {
    const server = new Running(["server", "--port", "0"]);
    await server.url();
    server.host.emit("SIGHUP");
    server.host.emit("SIGUSR2");
    expect(server.log.map(({ msg }) => msg)).toContain("state of the server");
    server.host.emit("SIGTERM");
    expect(await server.exitCode).toBe(0);
  });

  it("logs to a file, and still says on stderr why it ended", async () => {
    const path = join(temporaryDirectory(), "log");
    const port = await busyPort();
    const [exitCode, , stderr] = await outputOf(["server", "--port", `${port}`, "--log-file", path]);
    expect(exitCode).toBe(69);
    expect(stderr).toMatch(/^culvert: the listen address is already in use.*\n$/);
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ exitCode: 69, msg: "ended" });
    const [wrong, , why] = await outputOf(["server", "--log-file", "/nowhere/log"]);
    expect([wrong, why]).toEqual([
      2,
      "culvert: --log-file /nowhere/log cannot be written (ENOENT): name a file in a directory where this user may write.\n",
    ]);
  });
});
