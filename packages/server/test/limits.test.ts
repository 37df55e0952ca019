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
  const KiB = 1024;
  const streams = (session: RawSession, echo: EchoService): Promise<string> =>
    ending(session, { kind: "tcp", target: at(echo) }).over;

  test("takes sessions as long as there is enough, then streams, then neither, and takes them again", async () => {
    // Five sessions own 78 % of it, their streams take the rest.
    const { server, url } = await started({ memoryBudgetBytes: 2 * MiB });
    await using _ = server;
    await using echo = await EchoService.start();
    const sessions: RawSession[] = [];
    for (let n = 0; n < 5; n += 1) sessions.push(await openSession(url, helloOf({ name: `${n}` })));
    const refused = await (await RawClient.connect(url)).rejected(helloOf({ name: "one more" }));
    expect(refused).toMatchObject({ code: "resource_exhausted" });
    expect(refused.retryAfterMs).toBeGreaterThanOrEqual(1000);
    const [first, last] = [sessions[0]!, sessions.at(-1)!];
    let accepted = 0;
    while ((await streams(first, echo)) === "accepted") accepted += 1;
    expect(accepted).toBeGreaterThan(20);
    expect(server.stats()).toMatchObject({ memoryLevel: "tight", attached: 5 });
    expect(server.stats().memoryBytes).toBeLessThanOrEqual(2 * MiB);
    expect(await streams(first, echo)).toBe("resource_exhausted");
    // Who has not used its own part yet is none the worse.
    expect(await streams(last, echo)).toBe("accepted");
    const ended = sessionBecomes(server, "ended");
    last.link.close();
    await ended;
    expect(await streams(first, echo)).toBe("accepted");
    for (const { link } of sessions) link.close();
  });

  test.each([
    ["the longest detached one", false, "older", "newer"],
    ["the one that has more than its own part before one that has not", true, "newer", "older"],
  ])("gives up a detached session when it is full, and no other: %s", async (_what, isLarge, goes, stays) => {
    // Each stream takes 128 KiB; with the last that is served it is full.
    const { server, url } = await started({
      memoryBudgetBytes: (isLarge ? 2064 : 2000) * KiB,
      session: { initialWindowBytes: 128 * KiB },
    });
    await using _ = server;
    await using echo = await EchoService.start();
    const older = await proven(server, url, "older");
    const newer = await proven(server, url, "newer");
    const attached = await proven(server, url, "attached");
    if (isLarge) expect(await streams(newer, echo)).toBe("accepted");
    await detach(server, older);
    await detach(server, newer);
    const ended = sessionBecomes(server, "ended");
    let code = "accepted";
    while (code === "accepted" && server.stats().detached === 2) code = await streams(attached, echo);
    expect(await ended).toMatchObject({ session: { name: goes }, cause: { code: "resource_exhausted" } });
    expect(names(server)).toEqual(expect.arrayContaining(["attached", stays]));
    expect(server.stats().memoryBytes).toBeLessThanOrEqual(2064 * KiB);
    // Who comes back is told why.
    const gone = goes === "older" ? older : newer;
    const again = await RawClient.connect(url);
    const resume = resumeOf(gone.welcome, 1, 0);
    expect(await again.rejected({ ...gone.hello, resume })).toMatchObject({ code: "resource_exhausted" });
    attached.link.close();
  });

  test("lets who takes over a name have the place of the one that had it, also when it is scarce", async () => {
    const { server, url } = await started({ memoryBudgetBytes: 2 * MiB });
    await using _ = server;
    const sessions: RawSession[] = [];
    for (let n = 0; n < 5; n += 1) sessions.push(await openSession(url, helloOf({ name: `${n}` })));
    expect(await (await RawClient.connect(url)).rejected(helloOf({ name: "5" }))).toMatchObject({
      code: "resource_exhausted",
    });
    const ended = sessionBecomes(server, "ended");
    const again = await openSession(url, helloOf({ name: "3" }));
    expect(await ended).toMatchObject({ session: { name: "3" }, cause: { code: "displaced" } });
    expect(names(server).sort()).toEqual(["0", "1", "2", "3", "4"]);
    for (const { link } of [again, ...sessions]) link.close();
  });

  test("lets many take over one name at once: the last has it, and no memory stays behind", async () => {
    const { server, url } = await started({ memoryBudgetBytes: 2 * MiB });
    await using _ = server;
    const first = await openSession(url, helloOf({ name: "n" }));
    const clients = await Promise.all(Array.from({ length: 4 }, () => RawClient.connect(url)));
    const answers = await Promise.all(clients.map((client) => client.shake(helloOf({ name: "n" }))));
    expect(answers.filter(({ type }) => type === "welcome").length).toBeGreaterThan(0);
    expect(names(server)).toEqual(["n"]);
    expect(server.stats().memoryBytes).toBe(320 * KiB);
    first.link.close();
    for (const client of clients) client.ws.terminate();
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

  test.each([0, 1])(
    "of %i: who comes back before its old WebSocket is gone is none of them",
    async (most) => {
      const { server, url } = await started({ maxDetachedSessions: most });
      await using _ = server;
      const [a, b] = [await proven(server, url, "a"), await proven(server, url, "b")];
      if (most > 0) await detach(server, a);
      else {
        const ended = sessionBecomes(server, "ended");
        a.link.close();
        await ended;
      }
      const before = names(server);
      const again = await RawClient.connect(url);
      const answer = await again.shake({ ...b.hello, resume: resumeOf(b.welcome, 1, 0) });
      expect(answer.type).toBe("welcome");
      // A turn of the loop later, when too many would go.
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      expect(names(server)).toEqual(before);
      again.ws.terminate();
    },
  );

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
