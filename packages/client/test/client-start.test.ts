import { createServer } from "node:net";
import type { CulvertError } from "@culvert/protocol";
import { describe, expect, it } from "vitest";
import { freeAddress } from "../../../test/support/free-port.ts";
import { CONNECT, LISTEN } from "../src/mode.ts";
import { QUICK, watchedClient } from "./support/clients.ts";
import { refuse, ScriptedServer } from "./support/scripted-server.ts";
import { deadUrl, httpServer, tcpServer, webSocketServer } from "./support/servers.ts";
import { tcpTarget, visit } from "./support/visitors.ts";

const NEVER = { baseMs: 3_600_000, capMs: 3_600_000 };

async function faultOf(promise: Promise<unknown>): Promise<CulvertError> {
  try {
    await promise;
  } catch (error) {
    return error as CulvertError;
  }
  throw new Error("it did not fail");
}

describe("start", () => {
  it("resolves when the session is open, and tells each state with the one before", async () => {
    const server = await ScriptedServer.start();
    const { client, states } = watchedClient({
      server: server.url,
      agent: "test/1",
      session: { maxStreams: 7 },
    });
    expect(client.state).toBe("closed");
    await client.start();
    expect(client.state).toBe("open");
    await client.close();
    expect(states.map(({ previous, current }) => `${previous} > ${current}`)).toEqual([
      "closed > connecting",
      "connecting > open",
      "open > closing",
      "closing > closed",
    ]);
    expect(await client.closed).toBeUndefined();
    const [{ hello } = { hello: undefined }] = server.arrivals;
    expect(hello).toMatchObject({
      version: 1,
      name: "test",
      agent: "test/1",
      limits: { maxStreams: 7, maxTunnels: 0 },
    });
    expect(hello?.instance).toMatch(/^[0-9a-f]{32}$/);
    expect(hello).not.toHaveProperty("resume");
  });

  it("sends the token and the headers", async () => {
    const server = await ScriptedServer.start();
    const { client } = watchedClient({ server: server.url, token: "s3cret", headers: { "X-Route": "a" } });
    await client.start();
    expect(server.arrivals[0]?.headers).toMatchObject({ authorization: "Bearer s3cret", "x-route": "a" });
  });

  it("goes on while the server is away, and resolves when it comes", async () => {
    const server = await ScriptedServer.start();
    await server.hide();
    let failures = 0;
    const { client } = watchedClient({
      server: ({ lastError }) => {
        if (lastError !== undefined) failures += 1;
        if (failures === 3) void server.listen();
        return server.url;
      },
    });
    await client.start();
    expect(client.state).toBe("open");
    expect(failures).toBeGreaterThanOrEqual(3);
  });

  it("twice at once is refused", async () => {
    const server = await ScriptedServer.start();
    const { client } = watchedClient({ server: server.url });
    const first = client.start();
    await expect(client.start()).rejects.toMatchObject({ code: "already_started" });
    await first;
    await expect(client.start()).rejects.toMatchObject({ code: "already_started" });
  });

  it("works again after close", async () => {
    const server = await ScriptedServer.start();
    const { client } = watchedClient({ server: server.url, mode: CONNECT, listen: "0", connect: "a:1" });
    await client.start();
    await client.close();
    expect(await client.closed).toBeUndefined();
    await client.start();
    expect(client.state).toBe("open");
    expect(client.tunnels).toHaveLength(1);
    expect(server.arrivals).toHaveLength(2);
  });

  it("with a local address in use fails with the reason, and leaves nothing open", async () => {
    const { address: taken } = await tcpTarget(() => undefined);
    const url = await deadUrl();
    const { client, states } = watchedClient({
      server: () => {
        throw new Error("nothing is to be dialed");
      },
      tunnels: [
        { mode: CONNECT, listen: await freeAddress(), connect: "a:1", name: "free" },
        { mode: CONNECT, listen: taken, connect: "a:2" },
      ],
    });
    let free: string | undefined;
    client.on("tunnel", ({ tunnel, event }) => {
      if (event.type === "ready" && tunnel.name === "free") free = event.address;
    });
    const fault = await faultOf(client.start());
    expect(fault).toMatchObject({ code: "listen_failed", cause: { code: "address_in_use" } });
    expect(fault.message).toContain(taken);
    expect(states.map(({ current }) => current)).toEqual(["connecting", "closing", "closed"]);
    expect(await client.closed).toBe(fault);
    expect(client.tunnels).toEqual([]);
    const again = createServer().listen(Number(free?.split(":").at(-1)), "127.0.0.1");
    await new Promise((resolve) => again.once("listening", resolve));
    again.close();
    expect(url).toBeDefined();
  });

  it("resets visitors who come before there is a session", async () => {
    const { client, reaches } = watchedClient({
      server: (await deadUrl()).href,
      retry: NEVER,
      mode: CONNECT,
      listen: "0",
      connect: "a:1",
    });
    const address = new Promise<string>((resolve) => {
      client.on("tunnel", ({ event }) => event.type === "ready" && resolve(event.address));
    });
    void client.start().catch(() => undefined);
    await reaches("connecting");
    const visitor = visit(await address);
    await new Promise((resolve) => visitor.once("close", resolve));
    expect(client.state).toBe("connecting");
  });
});

describe("a refusal that cannot heal", () => {
  it.each([
    [401, "unauthorized"],
    [403, "refused_by_server"],
    [404, "not_culvert"],
    [426, "not_culvert"],
  ])("by status %i ends the start at once", async (status, code) => {
    let requests = 0;
    const url = await httpServer((_request, response) => {
      requests += 1;
      response.writeHead(status).end();
    });
    const { client } = watchedClient({ server: url.href });
    const fault = await faultOf(client.start());
    expect(fault.code).toBe(code);
    expect(await client.closed).toBe(fault);
    expect(requests).toBe(1);
    expect(client.state).toBe("closed");
  });

  it.each(["version_unsupported", "forbidden", "bad_handshake", "displaced"] as const)(
    "by a REJECT with %s ends the start at once",
    async (code) => {
      const server = await ScriptedServer.start();
      server.answers.push(refuse({ code }));
      const { client } = watchedClient({ server: server.url });
      expect((await faultOf(client.start())).code).toBe(code);
      expect(server.arrivals).toHaveLength(1);
    },
  );

  it("is no end as long as there is another server", async () => {
    const refusing = await httpServer((_request, response) => response.writeHead(401).end());
    const server = await ScriptedServer.start();
    const { client } = watchedClient({ server: [refusing.href, server.url] });
    await client.start();
    expect(client.stats()).toMatchObject({ dials: 2, session: { server: server.url } });
  });

  it("is one when all servers say so", async () => {
    const first = await httpServer((_request, response) => response.writeHead(403).end());
    const second = await httpServer((_request, response) => response.writeHead(401).end());
    const { client } = watchedClient({ server: [first.href, second.href] });
    expect((await faultOf(client.start())).code).toBe("unauthorized");
  });

  it("comes from a server that echoes HELLO, and from one that answers with noise or text", async () => {
    const echo = await webSocketServer((socket) => socket.on("message", (data) => socket.send(data)));
    const noise = await webSocketServer((socket) =>
      socket.on("message", () => socket.send(Buffer.from("noise"))),
    );
    const text = await webSocketServer((socket) => socket.on("message", () => socket.send("hello?")));
    for (const url of [echo, noise, text]) {
      const { client } = watchedClient({ server: url.href });
      expect((await faultOf(client.start())).code).toBe("not_culvert");
    }
  });

  it("comes from a WELCOME that is none to a new session", async () => {
    const server = await ScriptedServer.start();
    server.answers.push((arrival) => server.welcome(arrival, { session: "a.b" }));
    const { client } = watchedClient({ server: server.url });
    expect((await faultOf(client.start())).code).toBe("bad_handshake");
  });
});

describe("a failure that may heal", () => {
  it("is tried again: 503, a mute server, one that closes at once, one that closes instead of a WELCOME", async () => {
    const busy = await httpServer((_request, response) =>
      response.writeHead(503, { "Retry-After": "0" }).end(),
    );
    const mute = await tcpServer(() => undefined);
    const closing = await tcpServer((socket) => socket.destroy());
    const silent = await webSocketServer(() => undefined);
    const leaving = await webSocketServer((socket) => socket.close(1011));
    const full = await ScriptedServer.start();
    // As often as it is asked: the last one may be too slow once, and all of them have their turn again.
    full.answers.push(...new Array(100).fill(refuse({ code: "session_limit" })));
    const server = await ScriptedServer.start();
    const { client } = watchedClient({
      server: [busy, mute, closing, silent, leaving].map(({ href }) => href).concat(full.url, server.url),
      retry: { ...QUICK, connectTimeoutMs: 200 },
    });
    await client.start();
    expect(client.stats().dials).toBeGreaterThanOrEqual(7);
    expect(client.stats().session?.server).toBe(server.url);
  });

  it("waits as long as the server wishes", async () => {
    const server = await ScriptedServer.start();
    server.answers.push(refuse({ code: "shutting_down", retryAfterMs: 60 }));
    const { client } = watchedClient({ server: server.url, random: () => 0 });
    const began = performance.now();
    await client.start();
    expect(performance.now() - began).toBeGreaterThanOrEqual(59);
  });

  it("is told to a function that names the server, which is asked for each dial", async () => {
    const dead = await deadUrl();
    const server = await ScriptedServer.start();
    const asked: (readonly [number, string | undefined])[] = [];
    const { client } = watchedClient({
      server: async ({ attempt, lastError, resuming }) => {
        asked.push([attempt, lastError?.code]);
        expect(resuming).toBeUndefined();
        return attempt === 1 ? dead.href : server.url;
      },
    });
    await client.start();
    expect(asked).toEqual([
      [1, undefined],
      [2, "connect_failed"],
    ]);
  });

  it("is a function that throws, rejects, names no server or does not come back", async () => {
    const server = await ScriptedServer.start();
    const reasons: (string | undefined)[] = [];
    const answers = [
      () => {
        throw new Error("thrown");
      },
      () => Promise.reject(new Error("rejected")),
      () => "nonsense",
      () => new Promise<string>(() => undefined),
      () => server.url,
    ];
    const { client } = watchedClient({
      server: ({ lastError }) => {
        reasons.push(lastError?.message);
        // The last one again and again: the dial may take too long as well.
        const answer = answers.length > 1 ? answers.shift() : answers[0];
        return (answer as () => string | Promise<string>)();
      },
      retry: { ...QUICK, connectTimeoutMs: 100 },
    });
    await client.start();
    expect(reasons.slice(0, 5)).toEqual([
      undefined,
      expect.stringContaining("thrown"),
      expect.stringContaining("rejected"),
      expect.stringContaining("what the server function returned"),
      expect.stringContaining("no answer in 100 ms"),
    ]);
  });

  it("is a headers function that gives what HTTP does not allow", async () => {
    const server = await ScriptedServer.start();
    const { client } = watchedClient({
      server: server.url,
      headers: ({ attempt }) => (attempt === 1 ? { "X-A": "a\r\nX-B: b" } : { "X-A": "a" }),
    });
    await client.start();
    expect(server.arrivals[0]?.headers).toMatchObject({ "x-a": "a" });
    expect(client.stats().dials).toBe(2);
  });
});

describe("the end of patience", () => {
  it("comes after maxAttempts dials", async () => {
    let dials = 0;
    const url = await tcpServer((socket) => {
      dials += 1;
      socket.destroy();
    });
    const { client } = watchedClient({ server: url.href, retry: { ...QUICK, maxAttempts: 3 } });
    const fault = await faultOf(client.start());
    expect(fault).toMatchObject({ code: "attempts_exhausted", cause: { code: "connect_failed" } });
    expect(dials).toBe(3);
    expect(await client.closed).toBe(fault);
  });

  it("comes after maxElapsedMs", async () => {
    const { client } = watchedClient({
      server: (await deadUrl()).href,
      retry: { ...QUICK, maxElapsedMs: 30 },
    });
    expect((await faultOf(client.start())).code).toBe("deadline_exhausted");
  });

  it("comes with the caller's signal, at any moment", async () => {
    const dead = (await deadUrl()).href;
    const start = new AbortController();
    const one = watchedClient({ server: dead, retry: NEVER });
    const starting = one.client.start({ signal: start.signal });
    start.abort();
    expect((await faultOf(starting)).code).toBe("aborted");
    expect((await faultOf(one.client.start({ signal: start.signal }))).code).toBe("aborted");
    expect(one.client.state).toBe("closed");

    const server = await ScriptedServer.start();
    const life = new AbortController();
    const two = watchedClient({ server: server.url, signal: life.signal });
    await two.client.start();
    life.abort();
    expect(await two.client.closed).toMatchObject({ code: "aborted" });
  });

  it("comes with close, which ends a long wait at once", async () => {
    const { client } = watchedClient({
      server: (await deadUrl()).href,
      retry: { ...NEVER, firstDelayMs: 3_600_000 },
    });
    const starting = faultOf(client.start());
    await client.close();
    expect((await starting).code).toBe("aborted");
    expect(await client.closed).toBeUndefined();
  });

  it("comes with close while a function is being asked, and no dial follows", async () => {
    let connections = 0;
    const url = await tcpServer(() => {
      connections += 1;
    });
    let give: ((url: string) => void) | undefined;
    const { client } = watchedClient({ server: () => new Promise<string>((resolve) => (give = resolve)) });
    const starting = faultOf(client.start());
    await expect.poll(() => give).toBeDefined();
    const closing = client.close();
    give?.(url.href);
    await closing;
    expect((await starting).code).toBe("aborted");
    expect(connections).toBe(0);
  });
});

describe("a redirect", () => {
  it("to the same host is followed at once, with the token and without headers for another origin", async () => {
    const there = await ScriptedServer.start();
    const here = await ScriptedServer.start();
    here.answers.push(refuse({ code: "session_limit", redirect: there.url }));
    const headers = { "X-Gateway-Key": "k3y" };
    const { client, reaches } = watchedClient({ server: here.url, token: "s3cret", headers, retry: NEVER });
    await client.start();
    expect(here.arrivals[0]?.headers).toMatchObject({ "x-gateway-key": "k3y" });
    expect(there.arrivals[0]?.headers.authorization).toBe("Bearer s3cret");
    expect(client.stats().session?.server).toBe(there.url);
    there.cut();
    await reaches("detached");
    await reaches("open");
    expect(there.arrivals).toHaveLength(2);
    for (const { headers: got } of there.arrivals) expect(got).not.toHaveProperty("x-gateway-key");
  });

  it("within an origin has the headers too, asked for that dial", async () => {
    const server = await ScriptedServer.start();
    server.answers.push(refuse({ code: "session_limit", redirect: `${server.url}other` }));
    const { client } = watchedClient({
      server: () => server.url,
      headers: ({ attempt }) => ({ "X-Attempt": String(attempt) }),
      retry: NEVER,
    });
    await client.start();
    expect(server.arrivals.map(({ headers }) => headers["x-attempt"])).toEqual(["1", "2"]);
    expect(client.stats().session?.server).toBe(`${server.url}other`);
  });

  it("to another host is a refusal like any other, unless that is allowed", async () => {
    const there = await ScriptedServer.start();
    const here = await ScriptedServer.start();
    const redirect = there.url.replace("127.0.0.1", "localhost");
    here.answers.push(refuse({ code: "session_limit", redirect }));
    const careful = watchedClient({ server: here.url });
    await careful.client.start();
    expect(careful.client.stats()).toMatchObject({ dials: 2, session: { server: here.url } });
    expect(there.arrivals).toHaveLength(0);
    here.answers.push(refuse({ code: "session_limit", redirect }));
    const trusting = watchedClient({ server: here.url, redirects: "any" });
    await trusting.client.start();
    expect(trusting.client.stats().session?.server).toBe(redirect);
  });
});

it("a start with a LISTEN tunnel waits for the server's first word on it, which may be no", async () => {
  const server = await ScriptedServer.start();
  server.onTunnel = (request) => request.closed("address_in_use");
  const { client } = watchedClient({
    server: server.url,
    mode: LISTEN,
    listen: "80",
    connect: "a:1",
    retry: NEVER,
  });
  await client.start();
  expect(client.tunnels[0]).toMatchObject({ state: "failed", address: undefined });
});
