import { once } from "node:events";
import { connect, createServer } from "node:net";
import { CulvertError, type Stream } from "@culvert/protocol";
import { describe, expect, test } from "vitest";
import { freeAddress, freePort } from "../../../test/support/free-port.ts";
import { Server } from "../src/index.ts";
import { EchoService } from "./support/echo-service.ts";
import { nextEvent, sessionBecomes } from "./support/events.ts";
import { helloOf, openSession, RawClient, type RawSession, resumeOf } from "./support/raw-client.ts";
import { rawRequest, request, upgradeHeaders } from "./support/raw-http.ts";

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => "fulfilled",
    (error: unknown) => (error instanceof CulvertError ? error.code : String(error)),
  );
}

/** An accepted stream to an echo. */
function openEcho(session: RawSession, port: number): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const stream = session.link.openStream(
      { kind: "tcp", target: `tcp://127.0.0.1:${port}` },
      {
        onAccept: () => resolve(stream),
        onData: (chunk) => stream.consumed(chunk.length),
        onEnd,
        onReset: reject,
      },
    );
  });
}

function onEnd(): void {}

describe("start", () => {
  test("a port in use: address_in_use, naming host and port, and it can be tried again", async () => {
    const port = await freePort();
    const taken = createServer().listen(port, "127.0.0.1");
    await once(taken, "listening");
    await using server = new Server({ port });
    const failure = await server.start().catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: "address_in_use",
      message: expect.stringContaining(`127.0.0.1:${port}`),
    });
    expect(server.address).toBeUndefined();
    taken.close();
    await once(taken, "close");
    await server.start();
    expect(server.address?.port).toBe(port);
  });

  test("a name that does not exist: listen_failed", async () => {
    await using server = new Server({ host: "nowhere.invalid", token: "0123456789abcdef", port: 0 });
    expect(await codeOf(server.start())).toBe("listen_failed");
  });

  test("twice: already_started; after close: not_running", async () => {
    const server = new Server({ port: 0 });
    await server.start();
    expect(await codeOf(server.start())).toBe("already_started");
    await server.close();
    expect(await codeOf(server.start())).toBe("not_running");
  });

  test("IPv6 loopback: the URL has its brackets", async () => {
    await using server = new Server({ host: "::1", port: 0 });
    await server.start();
    expect(server.address?.url).toBe(`ws://[::1]:${server.address?.port}/`);
    const { link, client } = await openSession(server.address?.url ?? "");
    link.close();
    await client.closed;
  });
});

describe("close", () => {
  test("right after start, without waiting: start is told, the port is free", async () => {
    const server = new Server({ port: 0 });
    const started = server.start();
    await server.close();
    expect(await codeOf(started)).toBe("aborted");
    expect([server.state, server.address]).toEqual(["closed", undefined]);
  });

  test("without start; twice; by await using", async () => {
    const server = new Server();
    const first = server.close();
    expect(server.close()).toBe(first);
    await first;
    await server[Symbol.asyncDispose]();
    expect(server.state).toBe("closed");
  });

  test("tells the clients, closes the listeners, frees the port; states in order", async () => {
    const port = await freePort();
    const server = new Server({ port });
    const states: string[] = [];
    server.on("state", ({ previous, current }) => states.push(`${previous}>${current}`));
    await server.start();
    const session = await openSession(server.address?.url ?? "");
    const ended = new Promise((resolve) => {
      session.link.onEnded = resolve;
    });
    const listening = nextEvent(server, "tunnel");
    session.link.requestTunnel(`tcp://${await freeAddress()}`, "t", { onReady: onEnd, onClosed: onEnd });
    const { address = "" } = await listening;
    await server.close();
    expect(await ended).toMatchObject({ code: "shutting_down" });
    expect((await session.client.closed).code).toBe(1001);
    for (const free of [port, Number(address.split(":").at(-1))]) {
      const next = createServer().listen(free, "127.0.0.1");
      await once(next, "listening");
      next.close();
    }
    expect(states).toEqual(["idle>running", "running>draining", "draining>closed"]);
  });

  test("drains: open streams go on and finish, new ones, new sessions and visitors are refused, resumes are taken", async () => {
    await using echo = await EchoService.start();
    const server = new Server({ port: 0 });
    await server.start();
    const url = server.address?.url ?? "";
    const port = server.address?.port ?? 0;
    const session = await openSession(url);
    const stream = await openEcho(session, echo.port);
    const goaway = new Promise<void>((resolve) => {
      session.link.onGoaway = () => resolve();
    });
    const closing = server.close({ drainMs: 60_000 });
    await goaway;

    const refused = await (await RawClient.connect(url)).rejected(helloOf({ name: "newcomer" }));
    expect(refused).toMatchObject({ code: "shutting_down", close: 1001 });
    expect(refused.retryAfterMs).toBeGreaterThanOrEqual(1000);

    const detached = sessionBecomes(server, "detached");
    session.client.ws.terminate();
    await detached;
    const again = await RawClient.connect(url);
    const resume = resumeOf(session.welcome, 1, session.link.fence());
    const welcome = await again.welcomed({ ...session.hello, resume });
    session.link.attach(again.transport, welcome.received);

    expect(server.state).toBe("draining");
    stream.end();
    await closing;
    expect((await again.closed).code).toBe(1001);
    expect(await codeOf(rawRequest(port, request("GET /", upgradeHeaders())))).toContain("ECONNREFUSED");
  });

  test("a stream that does not end holds it up for drainMs only", async () => {
    await using echo = await EchoService.start();
    const server = new Server({ port: 0 });
    await server.start();
    const session = await openSession(server.address?.url ?? "");
    await openEcho(session, echo.port);
    await server.close({ drainMs: 10 });
    expect((await session.client.closed).code).toBe(1001);
    expect(session.link.state).toBe("ended");
  });

  test("a client that is away, without streams, does not hold it up", async () => {
    const server = new Server({ port: 0, drainMs: 600_000 });
    await server.start();
    const session = await openSession(server.address?.url ?? "");
    const listening = nextEvent(server, "tunnel");
    session.link.requestTunnel("tcp://127.0.0.1:0", "t", { onReady: onEnd, onClosed: onEnd });
    await listening;
    const detached = sessionBecomes(server, "detached");
    session.client.ws.terminate(); // most likely before it acknowledged that the tunnel is ready
    await detached;
    await server.close();
    session.link.close();
  });

  test("connections that are silent, or in their handshake, do not hold it up", async () => {
    const server = new Server({ port: 0 });
    await server.start();
    const silent = connect(server.address?.port ?? 0, "127.0.0.1");
    silent.on("error", onEnd);
    await once(silent, "connect");
    const halfway = await RawClient.connect(server.address?.url ?? "");
    const gone = once(silent, "close");
    await server.close();
    await gone;
    await halfway.closed;
  });

  test("while the last WebSocket closes, upgrades get 503 with Retry-After", async () => {
    const server = new Server({ port: 0 });
    await server.start();
    const http = await import("node:http");
    const mounted = http.createServer().listen(0, "127.0.0.1");
    await once(mounted, "listening");
    server.mount(mounted, { path: "/" });
    const { port } = mounted.address() as { port: number };
    const session = await openSession(`ws://127.0.0.1:${port}/`);
    session.client.ws.pause(); // does not answer the close
    const ended = sessionBecomes(server, "ended");
    const closing = server.close();
    await ended;
    const answer = await rawRequest(port, request("GET /", upgradeHeaders()));
    expect(answer.status).toBe(503);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    session.client.ws.resume();
    await closing;
    mounted.close();
  });
});
