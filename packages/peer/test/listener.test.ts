import type { LookupAllOptions } from "node:dns";
import { EventEmitter, once } from "node:events";
import { existsSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CulvertError,
  type Endpoint,
  type ErrorCode,
  formatEndpoint,
  parseEndpoint,
} from "@culvert/protocol";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Listener, type ListenerOptions, type Visitor } from "../src/listener.ts";
import { type Logger, silentLogger } from "../src/logger.ts";
import { closing, connectTo, eventOf, listenOn, readAll, tracked } from "./support/sockets.ts";

/** A listener that is closed at the end of the test, and the visitors that came to it. */
async function listen(endpoint: string, options?: ListenerOptions) {
  const visitors: Visitor[] = [];
  const waiting: ((visitor: Visitor) => void)[] = [];
  const listener = await Listener.listen(
    parseEndpoint(endpoint),
    (visitor) => {
      tracked(visitor.socket);
      const taker = waiting.shift();
      if (taker === undefined) visitors.push(visitor);
      else taker(visitor);
    },
    options,
  );
  onTestFinished(() => listener.close());
  const nextVisitor = async () =>
    visitors.shift() ?? (await new Promise<Visitor>((resolve) => waiting.push(resolve)));
  return { listener, address: formatEndpoint(listener.address), nextVisitor };
}

async function refusal(endpoint: Endpoint): Promise<CulvertError> {
  const outcome: unknown = await Listener.listen(endpoint, () => {}).catch((error) => error);
  if (outcome instanceof Listener) await outcome.close();
  expect(outcome).toBeInstanceOf(CulvertError);
  return outcome as CulvertError;
}

function app(address: string): Socket {
  return tracked(connectTo(address));
}

/** A name with addresses of both families, the IPv6 one first; every other name is the system's business. */
vi.mock("node:dns", async (original) => {
  const { lookup } = await original<typeof import("node:dns")>();
  return {
    lookup: (host: string, options: LookupAllOptions, answer: (...all: unknown[]) => void) => {
      if (host !== "both.example") return lookup(host, options, answer);
      return answer(null, [
        { address: "::1", family: 6 },
        { address: "127.0.0.1", family: 4 },
      ]);
    },
  };
});

describe("listening", () => {
  test("port 0 becomes the real port, and the visitor is told where it comes from", async () => {
    const { listener, address, nextVisitor } = await listen("tcp://127.0.0.1:0");
    expect(listener.address).toMatchObject({ scheme: "tcp", host: "127.0.0.1" });
    expect(address).not.toMatch(/:0$/);
    const caller = app(address);
    await once(caller, "connect");
    const visitor = await nextVisitor();
    expect(visitor.address).toBe(`tcp://127.0.0.1:${caller.localPort}`);
  });

  test("a visitor's bytes wait until they are asked for, and both directions end apart", async () => {
    const { address, nextVisitor } = await listen("tcp://127.0.0.1:0");
    const caller = app(address);
    caller.end("question");
    const { socket } = await nextVisitor();
    expect(socket.allowHalfOpen).toBe(true);
    expect(socket.isPaused()).toBe(true);
    const question = await readAll(socket);
    expect(question.toString()).toBe("question");
    socket.end("answer");
    expect((await readAll(caller)).toString()).toBe("answer");
  });

  test("a name is resolved, to IPv4 if it can be", async () => {
    for (const name of ["localhost", "both.example"]) {
      const { listener } = await listen(`tcp://${name}:0`);
      expect(listener.address).toMatchObject({ host: "127.0.0.1" });
    }
  });

  test("IPv6, and IPv4 visitors of an IPv6 listener under their own address", async () => {
    const { address, nextVisitor } = await listen("tcp://[::]:0");
    const port = address.slice(address.lastIndexOf(":"));
    const four = app(`127.0.0.1${port}`);
    expect((await nextVisitor()).address).toBe(`tcp://127.0.0.1:${four.localPort}`);
    const six = app(`[::1]${port}`);
    expect((await nextVisitor()).address).toBe(`tcp://[::1]:${six.localPort}`);
  });

  test("a visitor that resets while it waits to be taken over kills nothing", async () => {
    const arrival = new EventEmitter();
    const listener = await Listener.listen(parseEndpoint("127.0.0.1:0"), (visitor) =>
      arrival.emit("visitor", visitor.socket),
    );
    const caller = app(formatEndpoint(listener.address));
    const [socket] = (await once(arrival, "visitor")) as [Socket];
    socket.resume();
    caller.resetAndDestroy();
    await eventOf(socket, "close");
    expect(socket.errored).toMatchObject({ code: "ECONNRESET" });
    await listener.close();
  });

  test("a visitor that reset before anybody looked kills nothing", async () => {
    const { address, nextVisitor } = await listen("tcp://127.0.0.1:0");
    for (let round = 0; round < 20; round += 1) {
      const caller = app(address);
      caller.on("connect", () => caller.resetAndDestroy());
      await closing(caller);
    }
    const caller = app(address);
    await once(caller, "connect");
    let { address: last } = await nextVisitor();
    while (last !== `tcp://127.0.0.1:${caller.localPort}`) ({ address: last } = await nextVisitor());
  });

  test("visitors beyond the limit are reset, those before them stay, and one warning tells it", async () => {
    const warn = vi.fn();
    const logger: Logger = { ...silentLogger, warn };
    const { address, nextVisitor } = await listen("tcp://127.0.0.1:0", { logger, maxVisitors: 1 });
    const first = app(address);
    const { socket } = await nextVisitor();
    for (let round = 0; round < 5; round += 1) {
      const caller = app(address).resume();
      await closing(caller);
      expect(caller.errored).toMatchObject({ code: "ECONNRESET" });
    }
    expect(warn.mock.calls).toEqual([[{ maxVisitors: 1 }, "too many visitors"]]);
    expect(first.destroyed).toBe(false);
    socket.destroy();
    await closing(socket);
    app(address);
    await nextVisitor();
  });
});

test("an accept that fails kills nothing, and is told once", async () => {
  const created: Server[] = [];
  const listen = vi.spyOn(Server.prototype, "listen").mockImplementation(function (this: Server, ...all) {
    created.push(this);
    listen.mockRestore();
    return this.listen(...(all as unknown as []));
  });
  const warn = vi.fn();
  const listener = await Listener.listen(parseEndpoint("127.0.0.1:0"), () => {}, {
    logger: { ...silentLogger, warn },
  });
  for (const code of ["EMFILE", "EMFILE", "ECONNABORTED"]) {
    created[0]!.emit("error", Object.assign(new Error(code), { code }));
  }
  expect(warn.mock.calls).toEqual([[{ code: "EMFILE" }, "a visitor could not be accepted"]]);
  await once(app(formatEndpoint(listener.address)), "connect");
  await listener.close();
});

describe("closing", () => {
  test("frees the address at once, leaves the visitors, and may be repeated", async () => {
    const { listener, address, nextVisitor } = await listen("tcp://127.0.0.1:0");
    const caller = app(address);
    const { socket } = await nextVisitor();
    await Promise.all([listener.close(), listener.close()]);
    await listener.close();
    const again = await listen(address);
    expect(again.address).toBe(address);
    socket.end("still here");
    expect((await readAll(caller)).toString()).toBe("still here");
  });

  test("refuses who comes later", async () => {
    const { listener, address } = await listen("tcp://127.0.0.1:0");
    await listener.close();
    const late = tracked(connectTo(address));
    const [error] = await once(late, "error");
    expect(error.code).toBe("ECONNREFUSED");
  });
});

describe("what cannot be listened on", () => {
  test("an address in use", async () => {
    const { address } = await listen("tcp://127.0.0.1:0");
    const error = await refusal(parseEndpoint(address));
    expect(error.code).toBe("address_in_use");
    expect(error.message).toContain(address);
    expect((error.cause as NodeJS.ErrnoException).code).toBe("EADDRINUSE");
  });

  test.each<[string, Endpoint, ErrorCode]>([
    ["another machine's address", { scheme: "tcp", host: "203.0.113.1", port: 0 }, "address_unavailable"],
    ["a name that is none", { scheme: "tcp", host: "name.invalid", port: 0 }, "address_unavailable"],
    [
      "a folder that is not there",
      { scheme: "unix", path: "/nowhere/culvert/x.sock" },
      "address_unavailable",
    ],
    ["a folder without rights", { scheme: "unix", path: "/proc/culvert.sock" }, "address_forbidden"],
    ["a port beyond all ports", { scheme: "tcp", host: "127.0.0.1", port: 65_536 }, "bind_failed"],
  ])("%s", async (_what, endpoint, code) => {
    const error = await refusal(endpoint);
    expect(error.code).toBe(code);
    expect(error.cause).toBeInstanceOf(Error);
  });
});

describe("Unix sockets", () => {
  function folder(): string {
    const path = mkdtempSync(join(tmpdir(), "culvert-listener-"));
    onTestFinished(() => rmSync(path, { recursive: true }));
    return path;
  }

  test("carry, are their visitors' address, and leave no file", async () => {
    const path = join(folder(), "s");
    const { listener, address, nextVisitor } = await listen(`unix://${path}`);
    expect(address).toBe(`unix://${path}`);
    expect(statSync(path).isSocket()).toBe(true);
    const caller = app(address);
    caller.end("question");
    const visitor = await nextVisitor();
    expect(visitor.address).toBe(address);
    expect((await readAll(visitor.socket)).toString()).toBe("question");
    await listener.close();
    expect(existsSync(path)).toBe(false);
  });

  test("a file that a killed listener left is replaced", async () => {
    const path = join(folder(), "s");
    // What remains after a kill: a socket file that nobody listens on. rename() takes it out of libuv's sight.
    const server = createServer();
    server.listen(`${path}.old`);
    await once(server, "listening");
    renameSync(`${path}.old`, path);
    server.close();
    await once(server, "close");
    expect(statSync(path).isSocket()).toBe(true);
    const { address, nextVisitor } = await listen(`unix://${path}`);
    app(address);
    await nextVisitor();
  });

  test("one that is listened on is not", async () => {
    const path = join(folder(), "s");
    const { address, nextVisitor } = await listen(`unix://${path}`);
    expect((await refusal(parseEndpoint(address))).code).toBe("address_in_use");
    await nextVisitor(); // the question whether anybody is there
    app(address);
    await nextVisitor();
  });

  test("a file that is no socket is left alone", async () => {
    const path = join(folder(), "precious");
    writeFileSync(path, "data");
    const error = await refusal({ scheme: "unix", path });
    expect(error.code).toBe("address_in_use");
    expect(error.message).toContain("not a socket");
    expect(statSync(path).size).toBe(4);
  });
});

test("a plain server of another program on the port is an address in use", async () => {
  const port = await listenOn(createServer());
  expect((await refusal({ scheme: "tcp", host: "127.0.0.1", port })).code).toBe("address_in_use");
});
