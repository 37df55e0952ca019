import { connect } from "node:net";
import type { Users } from "@culvert/policy";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { type IdentityLoad, IdentityLoads } from "../src/identity-load.ts";
import { Server } from "../src/index.ts";
import { held, listened, opened, portOf } from "./support/asking.ts";
import { EchoService } from "./support/echo-service.ts";
import { helloOf, openSession, RawClient, type RawSession } from "./support/raw-client.ts";
import { ann, bob, tokenLine } from "./support/tokens.ts";
import { usersOf } from "./support/users.ts";
import { vanish } from "./support/vanishing.ts";

let server: Server | undefined;
afterEach(() => server?.close());

/** Ann has these limits and bob none; both may connect to loopback and listen there. */
function usersWith(limits: object): Users {
  const may = { connect: { allow: ["127.0.0.1:*"] }, listen: { allow: ["*"] } };
  const users = {
    ann: { tokens: [tokenLine(ann)], limits, ...may },
    bob: { tokens: [tokenLine(bob)], ...may },
  };
  return usersOf(users);
}

async function serve(limits: object): Promise<void> {
  server = new Server({ port: 0, drainMs: 0, users: usersWith(limits) });
  await server.start();
}

async function open(token: string, name: string): Promise<RawSession> {
  const session = await openSession(server?.address?.url ?? "", helloOf({ name }), { token });
  onTestFinished(() => session.link.close());
  return session;
}

async function rejected(token: string, name: string): Promise<string> {
  const client = await RawClient.connect(server?.address?.url ?? "", { token });
  return (await client.rejected(helloOf({ name }))).code;
}

describe("IdentityLoads", () => {
  const nothing = { streams: 0, listeners: 0 };
  const opened = (load: IdentityLoad, opensPerSecond: number): number => {
    const tries = Array.from({ length: 20 }, () => load.faultOfOpen({ opensPerSecond }, 0));
    return tries.filter((fault) => fault === undefined).length;
  };
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
  afterEach(() => void vi.useRealTimers());

  test("what was opened is not forgotten a second after some session, but a second after the last", () => {
    const loads = new IdentityLoads();
    loads.enter("x", nothing)();
    vi.advanceTimersByTime(900);
    const leave = loads.enter("x", nothing);
    expect(opened(loads.of("x"), 10)).toBe(10);
    leave();
    vi.advanceTimersByTime(100);
    expect(opened(loads.of("x"), 10)).toBe(1);
    vi.advanceTimersByTime(900);
    expect(opened(loads.of("x"), 10)).toBe(10);
  });

  test("who has another number at each login finds no full bucket behind each", () => {
    const load = new IdentityLoads().of("x");
    expect([10, 20, 10, 20].map((perSecond) => opened(load, perSecond))).toEqual([10, 0, 0, 0]);
    vi.advanceTimersByTime(500);
    expect([10, 20].map((perSecond) => opened(load, perSecond))).toEqual([10, 0]);
  });
});

describe("the limits of an identity, all its sessions together", () => {
  test("T43: sessions; its own detached one gives way, an attached one and others never", async () => {
    await serve({ sessions: 2 });
    const [first] = [await open(ann, "a"), await open(ann, "b"), await open(bob, "x")];
    expect(await rejected(ann, "c")).toBe("session_limit");
    await open(bob, "y");
    await open(ann, "b"); // takes over its own name
    await vanish(server!, first);
    await open(ann, "c");
    const names = server?.sessions().map(({ name }) => name);
    expect(names?.sort()).toEqual(["b", "c", "x", "y"]);
    expect(await rejected(ann, "d")).toBe("session_limit");
  });

  test("T43: an identity that connects and vanishes, over and over, keeps no more than its number", async () => {
    await serve({ sessions: 3 });
    const live = await open(bob, "live");
    for (let round = 0; round < 20; round += 1) {
      const session = await open(ann, `zombie-${round}`);
      await vanish(server!, session);
    }
    expect(server?.stats()).toMatchObject({ sessions: 4, attached: 1, detached: 3 });
    expect(live.link.state).toBe("attached");
  });

  test("T43: a lower number counts at the next session: as many give way as are too many, none if that would not do", async () => {
    await serve({});
    const names = (): string[] | undefined => server?.sessions().map(({ name }) => name);
    const [a, b, c] = [
      await open(ann, "a"),
      await open(ann, "b"),
      await open(ann, "c"),
      await open(ann, "d"),
    ];
    await vanish(server!, a);
    await vanish(server!, b);
    server?.setUsers(usersWith({ sessions: 2 }));
    expect(await rejected(ann, "e")).toBe("session_limit");
    expect(names()).toEqual(["a", "b", "c", "d"]);
    await vanish(server!, c);
    await open(ann, "e");
    expect(names()).toEqual(["d", "e"]);
  });

  test("streams, also those of visitors", async () => {
    await using echo = await EchoService.start();
    await serve({ streams: 3 });
    const [a, b, other] = [await open(ann, "a"), await open(ann, "b"), await open(bob, "x")];
    const target = `127.0.0.1:${echo.port}`;
    expect(await held(a, target)).toBe("accepted");
    expect(await held(a, target)).toBe("accepted");
    expect(await held(b, target)).toBe("accepted");
    expect(await held(b, target)).toBe("stream_limit");
    expect(await held(other, target)).toBe("accepted");
    const { ready } = await listened(b, "tcp://127.0.0.1:0");
    const visitor = connect(portOf(ready), "127.0.0.1");
    const error = await new Promise((resolve) =>
      visitor.on("error", resolve).on("end", () => resolve("end")),
    );
    expect(error).toMatchObject({ code: "ECONNRESET" });
    a.link.close();
    await a.client.closed;
    expect(await held(b, target)).toBe("accepted");
  });

  test("listeners", async () => {
    await serve({ listeners: 2 });
    const [a, b] = [await open(ann, "a"), await open(ann, "b")];
    const first = await listened(a, "tcp://127.0.0.1:0");
    expect(await listened(b, "tcp://127.0.0.1:0")).toHaveProperty("ready");
    expect(await listened(b, "tcp://127.0.0.1:0")).toMatchObject({ closed: "tunnel_limit" });
    expect(await listened(await open(bob, "x"), "tcp://127.0.0.1:0")).toHaveProperty("ready");
    a.link.closeTunnel(first.id);
    await first.over;
    expect(await listened(b, "tcp://127.0.0.1:0")).toHaveProperty("ready");
  });

  test("opens in a second, whoever makes a new session for it", async () => {
    await using echo = await EchoService.start();
    await serve({ opensPerSecond: 1 });
    const target = `127.0.0.1:${echo.port}`;
    const first = await open(ann, "a");
    const outcomes = [await opened(first, target), await opened(first, target)];
    first.link.close();
    await first.client.closed;
    outcomes.push(await opened(await open(ann, "b"), target));
    // The machine may be slow enough for the bucket to fill a little; never for as many as there were.
    expect(outcomes[0]).toBe("accepted");
    expect(outcomes).toContain("stream_limit");
    expect(await opened(await open(bob, "x"), target)).toBe("accepted");
  });
});
