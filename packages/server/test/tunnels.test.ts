import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { OpenRequest, StreamHandler } from "@culvert/protocol";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { NOBODY } from "../../../test/support/free-port.ts";
import { Server } from "../src/index.ts";
import { EchoService } from "./support/echo-service.ts";
import { nextEvent, sessionBecomes } from "./support/events.ts";
import { helloOf, openSession, RawClient, type RawSession, resumeOf } from "./support/raw-client.ts";

const server = new Server({ port: 0 });
let session: RawSession;

beforeAll(() => server.start());
afterAll(() => server.close());
beforeEach(async () => {
  session = await openSession(server.address?.url ?? "");
});
afterEach(async () => {
  session.link.close();
  await session.client.closed;
});

/** What a stream came to: all its bytes and how it ended. */
interface Outcome {
  readonly text: string;
  readonly accepted: boolean;
  readonly end: string;
}

/** Opens a stream, sends `text` and its end, and waits until it is over. */
function carry(request: OpenRequest, text: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const received: Uint8Array[] = [];
    let accepted = false;
    const over = (end: string): void => resolve({ text: Buffer.concat(received).toString(), accepted, end });
    const handler: StreamHandler = {
      onAccept: () => {
        accepted = true;
      },
      onData: (chunk) => {
        received.push(chunk);
        stream.consumed(chunk.length);
      },
      onEnd: () => over("end"),
      onReset: (code) => over(code),
    };
    const stream = session.link.openStream(request, handler);
    stream.write(Buffer.from(text));
    stream.end();
  });
}

/** Asks the server to listen and waits for its answer. */
function listen(listen: string): Promise<{ id: number; ready?: string; closed?: string }> {
  return new Promise((resolve) => {
    const id = session.link.requestTunnel(listen, "t", {
      onReady: (ready) => resolve({ id, ready }),
      onClosed: (closed) => resolve({ id, closed }),
    });
  });
}

function portOf(endpoint: string | undefined): number {
  return Number(/:(\d+)$/.exec(endpoint ?? "")?.[1]);
}

describe("CONNECT: the server dials", () => {
  test.each(["127.0.0.1", "localhost"])("an echo at %s, data with the OPEN", async (host) => {
    await using echo = await EchoService.start();
    const outcome = await carry({ kind: "tcp", target: `tcp://${host}:${echo.port}` }, "hello");
    expect(outcome).toEqual({ text: "hello", accepted: true, end: "end" });
  });

  test("an IPv6 literal", async () => {
    await using echo = await EchoService.start("::1");
    expect((await carry({ kind: "tcp", target: `tcp://[::1]:${echo.port}` }, "six")).text).toBe("six");
  });

  test("nobody listens: target_refused, and the session goes on", async () => {
    const target = `tcp://${NOBODY}`;
    expect(await carry({ kind: "tcp", target }, "x")).toEqual({
      text: "",
      accepted: false,
      end: "target_refused",
    });
    await using echo = await EchoService.start();
    expect((await carry({ kind: "tcp", target: `127.0.0.1:${echo.port}` }, "y")).text).toBe("y");
  });

  test("a name that does not exist: target_unresolvable", async () => {
    await using picky = new Server({
      port: 0,
      lookup: (_name, _options, callback) => {
        callback(Object.assign(new Error("not found"), { code: "ENOTFOUND" }), "", 0);
      },
    });
    await picky.start();
    const other = await openSession(picky.address?.url ?? "");
    const code = await new Promise((resolve) => {
      const handler = { onData: () => undefined, onEnd: () => undefined, onReset: resolve };
      other.link.openStream({ kind: "tcp", target: "tcp://nowhere.example:80" }, handler);
    });
    expect(code).toBe("target_unresolvable");
    other.link.close();
    await other.client.closed;
  });

  test.each([
    "tcp://127.0.0.1:0",
    "tcp://127.0.0.1:65536",
    "tcp://127.0.0.1",
    "tcp://:80",
    "tcp://a b:80",
    "udp://a:1",
  ])("%s: bad_address, nothing is dialed", async (target) => {
    expect((await carry({ kind: "tcp", target }, "")).end).toBe("bad_address");
  });

  test("neither target nor tunnel: bad_address; a tunnel that is not there: unknown_tunnel", async () => {
    expect((await carry({ kind: "tcp" }, "")).end).toBe("bad_address");
    expect((await carry({ kind: "tcp", tunnelId: 7 }, "")).end).toBe("unknown_tunnel");
  });

  test("the end of the session resets what it carried", async () => {
    await using echo = await EchoService.start();
    const opened = new Promise<void>((resolve) => {
      session.link.openStream(
        { kind: "tcp", target: `tcp://127.0.0.1:${echo.port}` },
        { onAccept: resolve, onData: () => undefined, onEnd: () => undefined, onReset: () => undefined },
      );
    });
    await opened;
    const [target] = echo.connections;
    if (target === undefined) throw new Error("no connection");
    const reset = once(target, "error");
    session.link.close();
    expect(await reset).toMatchObject([{ code: "ECONNRESET" }]);
  });

  test("counts what it dials", async () => {
    await using echo = await EchoService.start();
    await carry({ kind: "tcp", target: `tcp://127.0.0.1:${echo.port}` }, "12345");
    await carry({ kind: "tcp" }, "");
    const info = server.sessions().find(({ id }) => id === session.welcome.session);
    expect(info?.dialing).toMatchObject({ connected: 1, refused: 1, dialing: 0 });
  });
});

describe("LISTEN: the server listens", () => {
  test("port 0: the real port is told, and a visitor becomes a stream with the tunnel's id", async () => {
    const { id, ready } = await listen("tcp://127.0.0.1:0");
    const port = portOf(ready);
    expect(port).toBeGreaterThan(0);
    const asked = new Promise<OpenRequest>((resolve) => {
      session.link.onStream = (incoming) => {
        const stream = incoming.accept({
          onData: (chunk) => {
            stream.write(chunk);
            stream.consumed(chunk.length);
          },
          onEnd: () => stream.end(),
          onReset: () => undefined,
        });
        resolve(incoming.request);
      };
    });
    const visitor = connect(port, "127.0.0.1");
    visitor.end("ping");
    const [echoed] = (await once(visitor, "data")) as [Buffer];
    expect(echoed.toString()).toBe("ping");
    const request = await asked;
    expect(request.tunnelId).toBe(id);
    expect(request.visitor).toMatch(/^tcp:\/\/127\.0\.0\.1:\d+$/);
    await once(visitor, "close");
    const [tunnel] =
      server.sessions().find(({ id: name }) => name === session.welcome.session)?.tunnels ?? [];
    expect(tunnel).toMatchObject({ tunnelId: id, name: "t", listen: "tcp://127.0.0.1:0", visitors: 1 });
  });

  test("a visitor whose stream is refused is reset", async () => {
    const { ready } = await listen("tcp://127.0.0.1:0");
    session.link.onStream = (incoming) => incoming.refuse("target_refused");
    const visitor = connect(portOf(ready), "127.0.0.1");
    expect(await once(visitor, "error")).toMatchObject([{ code: "ECONNRESET" }]);
  });

  test("a tunnel has as many visitors as the session may have streams: the next is reset", async () => {
    await using narrow = new Server({ port: 0, session: { maxStreams: 2 } });
    await narrow.start();
    const { link, client } = await openSession(narrow.address?.url ?? "");
    let streams = 0;
    const twoCame = new Promise<void>((resolve) => {
      link.onStream = (incoming) => {
        incoming.accept({ onData: () => undefined, onEnd: () => undefined, onReset: () => undefined });
        streams += 1;
        if (streams === 2) resolve();
      };
    });
    const ready = await new Promise<string>((resolve, reject) => {
      link.requestTunnel("tcp://127.0.0.1:0", "t", { onReady: resolve, onClosed: reject });
    });
    const visitors = [1, 2].map(() => connect(portOf(ready), "127.0.0.1"));
    await twoCame;
    const third = connect(portOf(ready), "127.0.0.1");
    expect(await once(third, "error")).toMatchObject([{ code: "ECONNRESET" }]);
    for (const visitor of visitors) visitor.on("error", () => undefined).destroy();
    link.close();
    await client.closed;
  });

  test("an address in use: address_in_use, and the event says so", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const failed = nextEvent(server, "tunnel");
    expect((await listen(`tcp://127.0.0.1:${port}`)).closed).toBe("address_in_use");
    expect(await failed).toMatchObject({ current: "failed", code: "address_in_use" });
    taken.close();
  });

  test("two tunnels on one port: the second is told", async () => {
    const { ready = "" } = await listen("tcp://127.0.0.1:0");
    expect((await listen(ready)).closed).toBe("address_in_use");
  });

  test("an address of another machine: address_unavailable", async () => {
    expect((await listen("tcp://192.0.2.1:0")).closed).toBe("address_unavailable");
  });

  test.each(["tcp://127.0.0.1:99999", "nonsense", "tcp://-x:1", ""])("%j: bad_address", async (address) => {
    expect((await listen(address)).closed).toBe("bad_address");
  });

  test("closing the tunnel frees the port, leaves connections alone, and the same port can be asked for again", async () => {
    const { id, ready = "" } = await listen("tcp://127.0.0.1:0");
    const carried = new Promise<void>((resolve) => {
      session.link.onStream = (incoming) => {
        const stream = incoming.accept({
          onData: (chunk) => void stream.write(chunk),
          onEnd,
          onReset: onEnd,
        });
        resolve();
      };
    });
    const visitor = connect(portOf(ready), "127.0.0.1");
    await carried;
    const closed = nextEvent(server, "tunnel", ({ current }) => current === "closed");
    session.link.closeTunnel(id);
    expect((await closed).tunnelId).toBe(id);
    const refused = connect(portOf(ready), "127.0.0.1");
    expect(await once(refused, "error")).toMatchObject([{ code: "ECONNREFUSED" }]);
    visitor.write("still");
    expect(String((await once(visitor, "data"))[0])).toBe("still");
    expect((await listen(ready)).ready).toBe(ready);
    visitor.destroy();
  });

  test("closing a tunnel before it listens", async () => {
    const closed = nextEvent(server, "tunnel", ({ current }) => current !== "listening");
    const id = session.link.requestTunnel("tcp://127.0.0.1:0", "t", {
      onReady: () => undefined,
      onClosed: () => undefined,
    });
    session.link.closeTunnel(id);
    expect(await closed).toMatchObject({ tunnelId: id, current: "closed" });
  });

  test("the end of the session closes its listeners", async () => {
    const { ready } = await listen("tcp://127.0.0.1:0");
    const ended = sessionBecomes(server, "ended");
    session.link.close();
    await ended;
    const refused = connect(portOf(ready), "127.0.0.1");
    expect(await once(refused, "error")).toMatchObject([{ code: "ECONNREFUSED" }]);
  });

  test("who displaces a session has its ports at once", async () => {
    const { ready = "" } = await listen("tcp://127.0.0.1:0");
    const second = await openSession(server.address?.url ?? "", helloOf({ name: session.hello.name }));
    const answer = await new Promise((resolve) => {
      second.link.requestTunnel(ready, "t", { onReady: resolve, onClosed: resolve });
    });
    expect(answer).toBe(ready);
    second.link.close();
    await second.client.closed;
  });

  test("while the client is away visitors wait, and are served when it is back", async () => {
    const { ready } = await listen("tcp://127.0.0.1:0");
    const detached = sessionBecomes(server, "detached");
    session.client.ws.terminate();
    await detached;
    const visitor = connect(portOf(ready), "127.0.0.1");
    visitor.write("patient");
    await once(visitor, "connect");
    const again = await RawClient.connect(server.address?.url ?? "");
    const resume = resumeOf(session.welcome, 1, session.link.fence());
    const welcome = await again.welcomed({ ...session.hello, resume });
    session.link.onStream = (incoming) => {
      const stream = incoming.accept({ onData: (chunk) => void stream.write(chunk), onEnd, onReset: onEnd });
    };
    session.link.attach(again.transport, welcome.received);
    expect(String((await once(visitor, "data"))[0])).toBe("patient");
    visitor.destroy();
    session.link.close();
    await again.closed;
  });
});

function onEnd(): void {}
