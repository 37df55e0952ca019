import { once } from "node:events";
import type { LookupFunction } from "node:net";
import { connect } from "node:net";
import type { ErrorCode, OpenRequest } from "@culvert/protocol";
import { describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { Server, type ServerOptions } from "../src/index.ts";
import { UpgradeRate } from "../src/upgrade-rate.ts";
import { EchoService } from "./support/echo-service.ts";
import { nextEvent, sessionBecomes } from "./support/events.ts";
import { helloOf, openSession, RawClient, type RawSession, resumeOf } from "./support/raw-client.ts";

const MiB = 1024 * 1024;

async function started(options: ServerOptions): Promise<{ server: Server; url: string }> {
  const server = new Server({ port: 0, drainMs: 0, ...options });
  await server.start();
  return { server, url: server.address?.url ?? "" };
}

/** A session whose client showed that it got the WELCOME, so that it may be detached. */
async function proven(server: Server, url: string, name: string): Promise<RawSession> {
  const session = await openSession(url, helloOf({ name }));
  const noted = nextEvent(server, "note");
  session.link.note("here");
  await noted;
  return session;
}

async function detach(server: Server, session: RawSession): Promise<void> {
  const detached = sessionBecomes(server, "detached");
  session.client.ws.terminate();
  await detached;
}

/** How a stream ends that says nothing. */
function ending({ link }: RawSession, request: OpenRequest): { over: Promise<string>; reset(): void } {
  let reset = (): void => undefined;
  const over = new Promise<string>((resolve) => {
    const stream = link.openStream(request, {
      onAccept: () => resolve("accepted"),
      onData: () => undefined,
      onEnd: () => undefined,
      onReset: (code: ErrorCode) => resolve(code),
    });
    reset = () => stream.reset("cancelled");
  });
  return { over, reset };
}

function at({ port }: EchoService): string {
  return `tcp://127.0.0.1:${port}`;
}

function names(server: Server): string[] {
  return server.sessions().map(({ name }) => name);
}

describe("the memory budget", () => {
  test("takes sessions as long as there is enough, then refuses them and new streams, and takes them again", async () => {
    const { server, url } = await started({ memoryBudgetBytes: 2 * MiB });
    await using _ = server;
    await using echo = await EchoService.start();
    const sessions: RawSession[] = [];
    while (server.stats().memoryLevel === "ample") {
      sessions.push(await openSession(url, helloOf({ name: `${sessions.length}` })));
    }
    expect(sessions.length).toBeGreaterThan(3);
    expect(server.stats()).toMatchObject({ memoryLevel: "tight", attached: sessions.length });
    expect(server.stats().memoryBytes).toBeLessThanOrEqual(2 * MiB);
    const refused = await (await RawClient.connect(url)).rejected(helloOf({ name: "one more" }));
    expect(refused).toMatchObject({ code: "resource_exhausted" });
    expect(refused.retryAfterMs).toBeGreaterThanOrEqual(1000);
    const [first, last] = [sessions[0]!, sessions.at(-1)!];
    expect(await ending(first, { kind: "tcp", target: at(echo) }).over).toBe("resource_exhausted");
    const ended = sessionBecomes(server, "ended");
    last.link.close();
    await ended;
    expect(await ending(first, { kind: "tcp", target: at(echo) }).over).toBe("accepted");
    for (const { link } of sessions) link.close();
  });

  test("gives up detached sessions, the longest detached one first, and no other", async () => {
    // Room for four sessions; with the fourth it is full.
    const { server, url } = await started({ memoryBudgetBytes: 1300 * 1024 });
    await using _ = server;
    const older = await proven(server, url, "older");
    const newer = await proven(server, url, "newer");
    const attached = [await proven(server, url, "attached")];
    await detach(server, older);
    await detach(server, newer);
    for (const [name, goes] of [
      ["third", "older"],
      ["fourth", "newer"],
    ] as const) {
      const ended = sessionBecomes(server, "ended");
      attached.push(await proven(server, url, name));
      expect(await ended).toMatchObject({ session: { name: goes }, cause: { code: "resource_exhausted" } });
    }
    attached.push(await proven(server, url, "fifth"));
    expect(server.stats()).toMatchObject({ memoryLevel: "full", attached: 4, detached: 0 });
    expect(server.stats().memoryBytes).toBeLessThanOrEqual(1300 * 1024);
    // Nothing is left to give up: who is there stays, who comes is refused.
    const refused = await (await RawClient.connect(url)).rejected(helloOf({ name: "sixth" }));
    expect(refused.code).toBe("resource_exhausted");
    expect(names(server)).toEqual(["attached", "third", "fourth", "fifth"]);
    // Who comes back is told why.
    const resume = resumeOf(older.welcome, 1, 0);
    const again = await RawClient.connect(url);
    expect(await again.rejected({ ...older.hello, resume })).toMatchObject({ code: "resource_exhausted" });
    for (const { link } of attached) link.close();
  });
});

describe("detached sessions", () => {
  test("beyond maxDetachedSessions the longest detached one goes", async () => {
    const { server, url } = await started({ maxDetachedSessions: 1 });
    await using _ = server;
    const [a, b] = [await proven(server, url, "a"), await proven(server, url, "b")];
    await detach(server, a);
    expect(names(server)).toEqual(["a", "b"]);
    const ended = sessionBecomes(server, "ended");
    await detach(server, b);
    expect(await ended).toMatchObject({ session: { name: "a" }, cause: { code: "session_limit" } });
    expect(names(server)).toEqual(["b"]);
  });

  test("with 0 none is kept", async () => {
    const { server, url } = await started({ maxDetachedSessions: 0 });
    await using _ = server;
    const a = await proven(server, url, "a");
    const ended = sessionBecomes(server, "ended");
    a.client.ws.terminate();
    await ended;
    expect(names(server)).toEqual([]);
  });
});

describe("dials", () => {
  test("beyond maxDials a stream is refused, until one of them is over", async () => {
    const waiting: (() => void)[] = [];
    const lookup: LookupFunction = (_host, _options, callback) => {
      waiting.push(() => callback(null, [{ address: "127.0.0.1", family: 4 }]));
    };
    const { server, url } = await started({ maxDials: 2, lookup });
    await using _ = server;
    await using echo = await EchoService.start();
    const [one, two] = [
      await openSession(url, helloOf({ name: "1" })),
      await openSession(url, helloOf({ name: "2" })),
    ];
    const slow = [
      ending(one, { kind: "tcp", target: "tcp://a.test:1" }),
      ending(two, { kind: "tcp", target: "tcp://b.test:1" }),
    ];
    // The bound is that of all sessions together.
    expect(await ending(one, { kind: "tcp", target: at(echo) }).over).toBe("resource_exhausted");
    slow[0]!.reset();
    await expect
      .poll(() => ending(two, { kind: "tcp", target: at(echo) }).over, { timeout: 10_000 })
      .toBe("accepted");
    one.link.close();
    two.link.close();
    for (const answer of waiting) answer();
  });
});

describe("upgrades", () => {
  test("beyond maxUpgradesPerSecond get 503 and when to come back", async () => {
    const { server, url } = await started({ maxUpgradesPerSecond: 2 });
    await using _ = server;
    const refused: string[] = [];
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const ws = new WebSocket(url, ["culvert.v1"]);
        ws.on("error", () => undefined);
        const outcome = await Promise.race([
          once(ws, "open").then(() => "open"),
          once(ws, "unexpected-response").then(([, response]) => {
            refused.push(response.headers["retry-after"]);
            return `${response.statusCode}`;
          }),
        ]);
        ws.terminate();
        return outcome;
      }),
    );
    expect(new Set(outcomes)).toEqual(new Set(["open", "503"]));
    for (const seconds of refused) expect(seconds).toMatch(/^([1-9]|10)$/);
  });

  test("are counted like tokens that come back with time", () => {
    const rate = new UpgradeRate(10, 0);
    const taken = (now: number): number => {
      let count = 0;
      while (rate.take(now)) count += 1;
      return count;
    };
    expect([taken(0), taken(50), taken(100), taken(1000), taken(60_000)]).toEqual([10, 0, 1, 9, 10]);
  });

  test("with a head that does not come in time are answered with 408 and closed", async () => {
    const { server } = await started({ headTimeoutMs: 100 });
    await using _ = server;
    const socket = connect(server.address?.port ?? 0, "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n");
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    await once(socket, "close");
    expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.1 408 /);
  });
});

describe("idle connections", () => {
  test("are cut off after idleTimeoutMs, with a code that says so", async () => {
    const { server, url } = await started({ session: { idleTimeoutMs: 100 } });
    await using _ = server;
    await using echo = await EchoService.start();
    const session = await openSession(url);
    const code = await new Promise<string>((resolve) => {
      session.link.openStream(
        { kind: "tcp", target: at(echo) },
        { onData: () => undefined, onEnd: () => resolve("end"), onReset: (reason) => resolve(reason) },
      );
    });
    expect(code).toBe("idle_timeout");
    session.link.close();
  });
});
