import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type LookupFunction, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CulvertError, type Endpoint, parseEndpoint } from "@culvert/protocol";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { freePort } from "../../../test/support/free-port.ts";
import { interleaveFamilies } from "../src/connection-race.ts";
import { type DialOptions, dial } from "../src/dialer.ts";
import { fullListener } from "./support/full-listener.ts";
import { eventOf, readAll, serve, storyOf, tracked } from "./support/sockets.ts";

const timeoutMs = 5000;

async function dialed(target: string | Endpoint, options: Partial<DialOptions> = {}) {
  const endpoint = typeof target === "string" ? parseEndpoint(target) : target;
  return tracked(await dial(endpoint, { timeoutMs, ...options }));
}

async function failure(target: string | Endpoint, options: Partial<DialOptions> = {}): Promise<CulvertError> {
  const outcome: unknown = await dialed(target, options).catch((error) => error);
  expect(outcome).toBeInstanceOf(CulvertError);
  return outcome as CulvertError;
}

/** Answers every name with these. */
function namesAre(...addresses: string[]): LookupFunction {
  return (_host, _options, callback) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
    );
}

/** Fails every name with this code. */
function namesFail(code: string): LookupFunction {
  return (_host, _options, callback) => callback(Object.assign(new Error(code), { code }), []);
}

const silence: LookupFunction = () => {};

describe("dial", () => {
  test("connects, and not a byte is read before somebody asks", async () => {
    const { port } = await serve((socket) => socket.end("banner"));
    const socket = await dialed(`127.0.0.1:${port}`);
    expect(socket.isPaused()).toBe(true);
    expect(socket.allowHalfOpen).toBe(true);
    await new Promise((resolve) => setImmediate(resolve));
    expect(socket.readableLength).toBe(0);
    expect((await readAll(socket)).toString()).toBe("banner");
    expect(socket.writable).toBe(true);
  });

  test("a socket that is reset before somebody takes it over kills nothing", async () => {
    const accepted: Socket[] = [];
    const { server, port } = await serve((socket) => accepted.push(socket));
    const target = parseEndpoint(`127.0.0.1:${port}`);
    const [socket] = await Promise.all([dial(target, { timeoutMs }), once(server, "connection")]);
    accepted[0]!.resetAndDestroy();
    socket.resume();
    await eventOf(socket, "close");
    expect(socket.errored).toMatchObject({ code: "ECONNRESET" });
  });

  test("IPv6 and Unix targets", async () => {
    const six = createServer((socket) => socket.end("six"));
    six.listen(0, "::1");
    await once(six, "listening");
    onTestFinished(() => void six.close());
    const { port } = six.address() as { port: number };
    expect((await readAll(await dialed(`[::1]:${port}`))).toString()).toBe("six");

    const folder = mkdtempSync(join(tmpdir(), "culvert-dialer-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const unix = createServer((socket) => socket.end("unix"));
    unix.listen(join(folder, "s"));
    await once(unix, "listening");
    onTestFinished(() => void unix.close());
    expect((await readAll(await dialed(`unix://${folder}/s`))).toString()).toBe("unix");
    expect((await failure(`unix://${folder}/other`)).code).toBe("target_unreachable");
    writeFileSync(join(folder, "file"), "");
    expect((await failure(`unix://${folder}/file`)).code).toBe("target_refused");
  });

  test("names are resolved here, by the system unless told otherwise", async () => {
    const { port } = await serve((socket) => socket.end());
    await dialed(`localhost:${port}`);
    await dialed(`anything:${port}`, { lookup: namesAre("127.0.0.1") });
    const old: LookupFunction = (_host, _options, callback) => callback(null, "127.0.0.1", 4);
    await dialed(`anything:${port}`, { lookup: old });
  });

  test("addresses are not looked up", async () => {
    const { port } = await serve();
    const lookup = vi.fn(silence);
    await dialed(`127.0.0.1:${port}`, { lookup });
    expect(lookup).not.toHaveBeenCalled();
  });
});

describe("several addresses", () => {
  test("the next one is tried when one fails, at once", async () => {
    const { port } = await serve();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const socket = await dialed(`x:${port}`, { lookup: namesAre("::1", "127.0.0.2", "127.0.0.1") });
    expect(socket.remoteAddress).toBe("127.0.0.1");
  });

  test("the next one is tried beside one that is silent", async () => {
    const { port } = await fullListener("127.0.0.2", await freePort());
    const server = createServer();
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const socket = await dialed(`x:${port}`, { lookup: namesAre("127.0.0.2", "127.0.0.1") });
    expect(socket.remoteAddress).toBe("127.0.0.1");
  });

  test("one that takes longer than the head start still wins if only it answers", async () => {
    const slow = await fullListener("127.0.0.1", await freePort());
    const silent = await fullListener("127.0.0.2", slow.port);
    expect(silent.port).toBe(slow.port);
    const dialing = dialed(`x:${slow.port}`, { lookup: namesAre("127.0.0.1", "127.0.0.2") });
    setTimeout(() => slow.open(), 300); // not before the second attempt, and that is 250 ms after the first
    expect((await dialing).remoteAddress).toBe("127.0.0.1");
  });

  test("the hundredth is reached", async () => {
    const { port } = await serve();
    const dead = Array.from({ length: 99 }, (_, at) => `127.0.1.${at + 1}`);
    const socket = await dialed(`x:${port}`, { lookup: namesAre(...dead, "127.0.0.1") });
    expect(socket.remoteAddress).toBe("127.0.0.1");
  });

  test("families take turns", () => {
    const mixed = interleaveFamilies(
      ["::1", "::2", "::3", "10.0.0.1"].map((address) => ({
        address,
        family: address.includes(":") ? 6 : 4,
      })),
    );
    expect(mixed.map(({ address }) => address)).toEqual(["::1", "10.0.0.1", "::2", "::3"]);
    expect(interleaveFamilies([])).toEqual([]);
  });

  test("one refusal says more than silence and broken networks", async () => {
    const port = 1;
    const error = await failure(`x:${port}`, { lookup: namesAre("255.255.255.255", "127.0.0.1") });
    expect(error.code).toBe("target_refused");
    expect(error.cause).toBeInstanceOf(AggregateError);
  });
});

describe("what does not work", () => {
  test("nobody listens: refused", async () => {
    const port = 1;
    const error = await failure(`127.0.0.1:${port}`);
    expect(error.code).toBe("target_refused");
    expect(error.message).toContain(`tcp://127.0.0.1:${port}`);
    expect((error.cause as NodeJS.ErrnoException).code).toBe("ECONNREFUSED");
  });

  test("no way there: unreachable", async () => {
    expect((await failure("255.255.255.255:80")).code).toBe("target_unreachable");
  });

  test.each(["ENOTFOUND", "EAI_AGAIN", "ESERVFAIL"])("a name that gives %s: unresolvable", async (code) => {
    const error = await failure("name.example:80", { lookup: namesFail(code) });
    expect(error.code).toBe("target_unresolvable");
    expect(error.message).toContain(code);
  });

  test("a name without addresses: unresolvable", async () => {
    expect((await failure("name.example:80", { lookup: namesAre() })).code).toBe("target_unresolvable");
  });

  test("no descriptors left for the name: exhausted", async () => {
    const error = await failure("name.example:80", { lookup: namesFail("EMFILE") });
    expect(error.code).toBe("resource_exhausted");
  });

  test("a resolver that never answers: timeout", async () => {
    const error = await failure("name.example:80", { lookup: silence, timeoutMs: 20 });
    expect(error.code).toBe("target_timeout");
    expect(error.message).toContain("20 ms");
  });

  test("a target that never answers: timeout", async () => {
    const { port } = await fullListener("127.0.0.1");
    expect((await failure(`127.0.0.1:${port}`, { timeoutMs: 50 })).code).toBe("target_timeout");
  });

  test.each<[Endpoint]>([[{ scheme: "tcp", host: "127.0.0.1", port: 0 }]])("port 0: %j", async (target) => {
    expect((await failure(target)).code).toBe("bad_address");
  });

  test("a port beyond all ports, by hand: a rejection and nothing thrown", async () => {
    const target: Endpoint = { scheme: "tcp", host: "127.0.0.1", port: 65_536 };
    expect((await failure(target)).code).toBe("dial_failed");
  });
});

describe("giving up", () => {
  test("before it began, while the name is looked up, while it connects", async () => {
    const lookup = vi.fn(silence);
    const gone = AbortSignal.abort();
    expect((await failure("x:80", { signal: gone, lookup })).code).toBe("cancelled");
    expect(lookup).not.toHaveBeenCalled();
    const { port } = await fullListener("127.0.0.1");
    for (const options of [{ lookup }, { lookup: namesAre("127.0.0.1") }]) {
      const stop = new AbortController();
      const failed = failure(`x:${port}`, { ...options, signal: stop.signal });
      setImmediate(() => stop.abort(new Error("the visitor left")));
      const error = await failed;
      expect(error.code).toBe("cancelled");
      expect(error.cause).toMatchObject({ message: "the visitor left" });
    }
  });

  test("a target that has accepted meanwhile is reset: nobody came, said nothing and left in peace", async () => {
    let accepted: (socket: Socket) => void;
    const arrived = new Promise<Socket>((resolve) => {
      accepted = resolve;
    });
    const { port } = await serve((socket) => accepted(socket));
    const stop = new AbortController();
    const failed = failure(`127.0.0.1:${port}`, { signal: stop.signal });
    // The kernel connects to this machine at once; Node hears of it in the next turn of its loop, and this is before it.
    for (let tick = 0; tick < 10; tick += 1) await new Promise<void>((resolve) => process.nextTick(resolve));
    stop.abort();
    expect((await failed).code).toBe("cancelled");
    const socket = await arrived;
    const story = storyOf(socket);
    socket.resume();
    await eventOf(socket, "close");
    expect(story).toEqual(["ECONNRESET", "close"]);
  });

  test("leaves no listener on the signal and no timer", async () => {
    const { port } = await serve();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const { signal } = new AbortController();
    const remove = vi.spyOn(signal, "removeEventListener");
    await dialed(`x:${port}`, { signal, lookup: namesAre("127.0.0.1", "127.0.0.2") });
    expect(remove).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("after it connected does nothing", async () => {
    const { port } = await serve();
    const stop = new AbortController();
    const socket = await dialed(`127.0.0.1:${port}`, { signal: stop.signal });
    stop.abort();
    expect(socket.destroyed).toBe(false);
  });
});
