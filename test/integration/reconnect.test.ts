import { connect } from "node:net";
import { type AttemptInfo, Client, type ClientOptions, CONNECT } from "@culvert/client";
import { Server } from "@culvert/server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { freePort, NOBODY } from "../support/free-port.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { Service } from "../support/service.ts";
import { StateWatch } from "../support/state-watch.ts";
import { QUICK_RETRY, TunnelFixture, urlOf } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

/** A client of a port where nobody listens, with each wait at its upper end. */
async function lonely(options: Partial<ClientOptions>): Promise<Client> {
  return new Client({
    server: `ws://${NOBODY}`,
    random: () => 1 - 2 ** -53,
    drainMs: 0,
    ...options,
  });
}

describe("the ladder", () => {
  it("dials at once, then waits longer each time, up to the cap", async () => {
    const at: number[] = [];
    const started = performance.now();
    await using client = await lonely({
      server: () => {
        at.push(performance.now() - started);
        return `ws://${NOBODY}`;
      },
      retry: { baseMs: 100, factor: 2, capMs: 250, maxAttempts: 5 },
    });
    await expect(client.start()).rejects.toMatchObject({ code: "attempts_exhausted" });
    const gaps = at.slice(1).map((time, n) => time - (at[n] ?? 0));
    expect(gaps).toHaveLength(4);
    // Timers may be late and never early (but for the millisecond that they are rounded to).
    for (const [n, least] of [100, 200, 250, 250].entries()) expect(gaps[n]).toBeGreaterThan(least - 2);
  });

  it("is spread by jitter that is drawn for each wait", async () => {
    const draws: number[] = [];
    await using client = await lonely({
      random: () => {
        const draw = Math.random();
        draws.push(draw);
        return draw;
      },
      retry: { ...QUICK_RETRY, maxAttempts: 4 },
    });
    await expect(client.start()).rejects.toMatchObject({ code: "attempts_exhausted" });
    expect(new Set(draws).size).toBeGreaterThanOrEqual(3);
  });

  it("begins anew after a session: the first redial is at once", async () => {
    await using fixture = await TunnelFixture.start({
      seed: 1,
      client: { retry: { baseMs: 60_000, capMs: 60_000 } },
    });
    fixture.proxy.cut({ how: "rst" });
    await fixture.states.entered("open", 2);
    expect(fixture.resumes).toBe(1);
  });
});

describe("limits", () => {
  it("attempts: as many dials, then attempts_exhausted with the last reason", async () => {
    await using client = await lonely({ retry: { ...QUICK_RETRY, maxAttempts: 3 } });
    const states = new StateWatch(client);
    const failure = await client.start().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "attempts_exhausted", cause: { code: "connect_failed" } });
    expect(states.path).toEqual(["connecting", "closing", "closed"]);
    expect(await client.closed).toBe(failure);
  });

  it("time: deadline_exhausted", async () => {
    await using client = await lonely({ retry: { ...QUICK_RETRY, maxElapsedMs: 200 } });
    await expect(client.start()).rejects.toMatchObject({ code: "deadline_exhausted" });
  });

  it("attempts count again from the loss of a session", async () => {
    await using fixture = await TunnelFixture.start({
      seed: 2,
      client: { retry: { ...QUICK_RETRY, maxAttempts: 2 } },
    });
    fixture.proxy.refuse();
    fixture.proxy.cut({ how: "rst" });
    expect(await fixture.client.closed).toMatchObject({ code: "attempts_exhausted" });
    expect(fixture.client.tunnels).toEqual([]);
  });

  it("an abort ends the start, whether before, during or by the client's own signal", async () => {
    await using client = await lonely({ retry: { baseMs: 60_000, capMs: 60_000 } });
    await expect(client.start({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
    const abort = new AbortController();
    const starting = client.start({ signal: abort.signal });
    abort.abort();
    await expect(starting).rejects.toMatchObject({ code: "aborted" });
    expect(client.state).toBe("closed");
    const lifelong = new AbortController();
    await using fixture = await TunnelFixture.start({ client: { signal: lifelong.signal } });
    lifelong.abort();
    expect(await fixture.client.closed).toMatchObject({ code: "aborted" });
    await until(() => fixture.server.sessions().length === 0, "the server was told");
  });
});

describe("refusals that cannot heal", () => {
  const token = "a token of sixteen".replaceAll(" ", "-");

  it("a wrong token stops it at once with unauthorized; the right one is let in", async () => {
    await using server = new Server({ port: 0, token, drainMs: 0 });
    await server.start();
    for (const given of [undefined, `${token}!`]) {
      await using client = new Client({ server: urlOf(server), token: given, retry: QUICK_RETRY });
      await expect(client.start()).rejects.toMatchObject({ code: "unauthorized" });
    }
    expect(server.stats()).toMatchObject({ refused: 2, sessions: 0 });
    await using client = new Client({ server: urlOf(server), token, drainMs: 0 });
    await client.start();
    expect(client.state).toBe("open");
  });

  it("403 stops it at once with refused_by_server", async () => {
    await using server = new Server({ port: 0, drainMs: 0 });
    await server.start();
    // What a web page sends, and no page may come in.
    const headers = { Origin: "https://example.org" };
    await using client = new Client({ server: urlOf(server), headers, retry: QUICK_RETRY });
    await expect(client.start()).rejects.toMatchObject({ code: "refused_by_server" });
    expect(server.stats()).toMatchObject({ refused: 1, sessions: 0 });
  });

  it("a token that is changed while it is away: unauthorized, its listeners are gone, and it says why", async () => {
    await using service = await Service.echo();
    const port = await freePort();
    const first = new Server({ port, token, drainMs: 0 });
    await first.start();
    await using client = new Client({ server: urlOf(first), token, retry: QUICK_RETRY, drainMs: 0 });
    await client.start();
    const { address } = await client.openTunnel({
      mode: CONNECT,
      listen: "127.0.0.1:0",
      connect: service.address,
    });
    await first.close();
    await using second = new Server({ port, token: "another-token-of-16", drainMs: 0 });
    await second.start();
    expect(await client.closed).toMatchObject({ code: "unauthorized" });
    await expect(WireEnd.connect(address)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it("another path, and what is no Culvert server at all: not_culvert", async () => {
    await using server = new Server({ port: 0, path: "/tunnel", drainMs: 0 });
    await server.start();
    await using wrong = new Client({
      server: urlOf(server).replace("/tunnel", "/elsewhere"),
      retry: QUICK_RETRY,
    });
    await expect(wrong.start()).rejects.toMatchObject({ code: "not_culvert" });
    await using service = await Service.start(({ socket }) => socket.end("SSH-2.0-nothing_like_http\r\n"));
    await using stranger = new Client({ server: service.address.replace("tcp", "ws"), retry: QUICK_RETRY });
    await expect(stranger.start()).rejects.toMatchObject({ code: "not_culvert" });
  });

  it("a gateway that says 503 with Retry-After is left alone for that long", async () => {
    const at: number[] = [];
    await using gateway = await Service.start(({ socket }) => {
      at.push(performance.now());
      const head = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
      socket.once("data", () => socket.end(head));
    });
    await using client = new Client({
      server: gateway.address.replace("tcp", "ws"),
      retry: { ...QUICK_RETRY, maxAttempts: 2 },
    });
    await expect(client.start()).rejects.toMatchObject({ code: "attempts_exhausted" });
    expect(at).toHaveLength(2);
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThan(990);
  });
});

describe("fail-over", () => {
  it("goes through a list until a server answers, and to the next when that one is gone for good", async () => {
    await using service = await Service.echo();
    await using first = new Server({ port: 0, drainMs: 0 });
    await using second = new Server({ port: 0, drainMs: 0 });
    await Promise.all([first.start(), second.start()]);
    await using client = new Client({
      server: [`ws://${NOBODY}`, urlOf(first), urlOf(second)],
      retry: { ...QUICK_RETRY, stickyMs: 100 },
      drainMs: 0,
    });
    const states = new StateWatch(client);
    await client.start();
    expect(client.stats().session?.server).toBe(urlOf(first));
    const { address } = await client.openTunnel({
      mode: CONNECT,
      listen: "127.0.0.1:0",
      connect: service.address,
    });
    await first.close();
    await states.entered("open", 2);
    expect(client.stats().session?.server).toBe(urlOf(second));
    const visitor = await WireEnd.connect(address);
    expect(await visitor.ask("over there")).toBe("over there");
    visitor.socket.destroy();
  });

  it("asks a function again at each attempt, and tells it what went wrong", async () => {
    await using server = new Server({ port: 0, drainMs: 0 });
    await server.start();
    const infos: AttemptInfo[] = [];
    await using client = new Client({
      server: async (info) => {
        infos.push(info);
        if (info.attempt === 1) return `ws://${NOBODY}`;
        if (info.attempt === 2) throw new Error("no idea");
        return urlOf(server);
      },
      retry: QUICK_RETRY,
      drainMs: 0,
    });
    await client.start();
    expect(infos.map(({ attempt, lastError }) => [attempt, lastError?.code])).toEqual([
      [1, undefined],
      [2, "connect_failed"],
      [3, "connect_failed"],
    ]);
  });

  it("a connector of one's own makes every connection", async () => {
    await using fixture = await TunnelFixture.prepare({ seed: 3 });
    const { proxy } = fixture;
    const attempts: number[] = [];
    await using client = new Client({
      // A name that means nothing to anybody but the connector.
      server: "ws://culvert.invalid:1/",
      retry: QUICK_RETRY,
      drainMs: 0,
      connector: async ({ attempt, url }) => {
        expect(url.hostname).toBe("culvert.invalid");
        attempts.push(attempt);
        if (attempt === 2) throw new Error("not now");
        return connect(proxy.port, proxy.host);
      },
    });
    const states = new StateWatch(client);
    await client.start();
    await until(() => client.stats().session?.link.rttMs !== undefined, "the session is proven");
    proxy.cut({ how: "rst" });
    await states.entered("open", 2);
    expect(attempts).toEqual([1, 2, 3]);
    expect(client.stats().sessions).toBe(1);
  });
});
