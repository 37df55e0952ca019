import { once } from "node:events";
import { linkSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseUsers } from "@culvert/policy";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { fullListener } from "../../peer/test/support/full-listener.ts";
import { Server } from "../src/index.ts";
import { listened, opened } from "./support/asking.ts";
import { EchoService } from "./support/echo-service.ts";
import { helloOf, openSession, RawClient, type RawSession, resumeOf } from "./support/raw-client.ts";
import { ann, bob, tokenLine } from "./support/tokens.ts";
import { usersOf } from "./support/users.ts";
import { vanish } from "./support/vanishing.ts";

const MAY_ALL = { connect: { allow: ["127.0.0.1:*"] }, listen: { allow: ["*"] } };

const BOTH = {
  ann: { tokens: [tokenLine(ann)], ...MAY_ALL },
  bob: { tokens: [tokenLine(bob)], ...MAY_ALL },
};

let server: Server;
beforeEach(async () => {
  server = new Server({ port: 0, drainMs: 0, users: usersOf(BOTH) });
  await server.start();
});
afterEach(() => server.close());

async function open(token: string, name = "office"): Promise<RawSession> {
  const session = await openSession(server.address?.url ?? "", helloOf({ name }), { token });
  onTestFinished(() => session.link.close());
  return session;
}

function ended({ link }: RawSession): Promise<string> {
  return new Promise((resolve) => {
    link.onEnded = ({ code }) => resolve(code);
  });
}

/** What a resume with that token gets. */
async function resumed({ welcome }: RawSession, token: string): Promise<string> {
  const client = await RawClient.connect(server.address?.url ?? "", { token });
  return (await client.rejected(helloOf({ resume: resumeOf(welcome, 1, 0) }))).code;
}

describe("T14: who is revoked", () => {
  test("loses the session that is attached, and its connections; others keep theirs", async () => {
    await using echo = await EchoService.start();
    const [first, other] = [await open(ann), await open(bob)];
    const carried = new Promise((resolve) => {
      const stream = first.link.openStream(
        { kind: "tcp", target: `127.0.0.1:${echo.port}` },
        { onData: (chunk) => stream.consumed(chunk.length), onEnd: () => undefined, onReset: resolve },
      );
    });
    const over = ended(first);
    server.setUsers(usersOf({ bob: BOTH.bob }));
    expect(await over).toBe("revoked");
    expect(await carried).toBe("revoked");
    expect((await first.client.closed).code).toBe(4401);
    expect(await opened(other, `127.0.0.1:${echo.port}`)).toBe("accepted");
    await expect(RawClient.connect(server.address?.url ?? "", { token: ann })).rejects.toThrow("401");
  });

  test("loses the session that is away, and cannot resume it when the user is back", async () => {
    const first = await open(ann);
    await vanish(server, first);
    server.setUsers(usersOf({ bob: BOTH.bob }));
    expect(server.sessions()).toEqual([]);
    server.setUsers(usersOf(BOTH));
    expect(await resumed(first, ann)).toBe("session_unknown");
  });

  test("has passed the gate, and is stopped at the HELLO", async () => {
    const client = await RawClient.connect(server.address?.url ?? "", { token: ann });
    server.setUsers(usersOf({ bob: BOTH.bob }));
    expect(await client.rejected(helloOf())).toMatchObject({ code: "revoked" });
  });

  test("has passed the gate, and does not get at a session that another credential holds", async () => {
    const second = ann.replace("annannan", "annannn2");
    server.setUsers(usersOf({ ann: { ...BOTH.ann, tokens: [tokenLine(ann), tokenLine(second)] } }));
    const session = await open(second);
    const client = await RawClient.connect(server.address?.url ?? "", { token: ann });
    server.setUsers(usersOf({ ann: { ...BOTH.ann, tokens: [tokenLine(second)] } }));
    const resume = resumeOf(session.welcome, 1, 0);
    expect(await client.rejected(helloOf({ resume }))).toMatchObject({ code: "revoked" });
    expect(session.link.state).toBe("attached");
  });

  test("F48: an id that stands for another token now lets in who has that one, and nobody who has the old one", async () => {
    const other = ann.replace("aaa", "bbb");
    const now = usersOf({ ann: { ...BOTH.ann, tokens: [tokenLine(other)] } });
    const over = ended(await open(ann));
    const client = await RawClient.connect(server.address?.url ?? "", { token: ann });
    server.setUsers(now);
    expect(await over).toBe("revoked");
    await open(other);
    server.setUsers(now); // for some other reason
    expect(await client.rejected(helloOf({ name: "late" }))).toMatchObject({ code: "revoked" });
    expect(server.sessions()).toHaveLength(1);
  });

  test("F48: whose credential was taken out, not who came with the other one", async () => {
    const second = ann.replace("annannan", "annannn2");
    const two = usersOf({ ann: { ...BOTH.ann, tokens: [tokenLine(ann), tokenLine(second)] } });
    server.setUsers(two);
    const [old, rotated] = [await open(ann, "old"), await open(second, "new")];
    const over = ended(old);
    server.setUsers(usersOf({ ann: { ...BOTH.ann, tokens: [tokenLine(second)] } }));
    expect(await over).toBe("revoked");
    expect(await listened(rotated, "tcp://127.0.0.1:0")).toHaveProperty("ready");
    await expect(RawClient.connect(server.address?.url ?? "", { token: ann })).rejects.toThrow("401");
  });
});

describe("the time of an identity", () => {
  test("T14: a session ends when its user expires, also when that is changed later", async () => {
    const first = await open(ann);
    const over = ended(first);
    vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const until = (ms: number) => new Date(Date.now() + ms).toISOString();
    server.setUsers(usersOf({ ann: { ...BOTH.ann, expires: until(40 * 86_400_000) } }));
    server.setUsers(usersOf({ ann: { ...BOTH.ann, expires: until(90_000) } }));
    vi.advanceTimersByTime(89_000);
    expect(server.sessions()).toHaveLength(1);
    vi.advanceTimersByTime(1000);
    expect(server.sessions()).toHaveLength(0);
    vi.useRealTimers();
    expect(await over).toBe("revoked");
  });

  test("a clock that jumps is noticed within a minute", async () => {
    await open(ann);
    vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const expires = new Date(Date.now() + 86_400_000).toISOString();
    server.setUsers(usersOf({ ann: { ...BOTH.ann, expires } }));
    vi.setSystemTime(Date.now() + 86_400_000);
    vi.advanceTimersByTime(60_000);
    expect(server.sessions()).toHaveLength(0);
  });

  test("the hook's word ends, too", async () => {
    const expiresAt = Date.now() + 300;
    await using guarded = new Server({ port: 0, authenticate: () => ({ name: "guest", expiresAt }) });
    await guarded.start();
    const session = await openSession(guarded.address?.url ?? "", helloOf(), { token: "whatever-it-is-1" });
    expect(await ended(session)).toBe("revoked");
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt);
  });
});

describe("T26: rules that change", () => {
  test("what is open goes on, what is opened next is judged by the new rules, listeners that are not granted end", async () => {
    await using echo = await EchoService.start();
    const session = await open(ann);
    const echoed = Promise.withResolvers<string>();
    const accepted = Promise.withResolvers<void>();
    const stream = session.link.openStream(
      { kind: "tcp", target: `127.0.0.1:${echo.port}` },
      {
        onAccept: () => accepted.resolve(),
        onData: (chunk) => echoed.resolve(Buffer.from(chunk).toString()),
        onEnd: () => undefined,
        onReset: (code) => echoed.resolve(code),
      },
    );
    await accepted.promise;
    const listener = await listened(session, "tcp://127.0.0.1:0");
    const keeps = await listened(session, "tcp://127.0.0.2:0");
    const listen = { allow: ["127.0.0.2:*"] };
    server.setUsers(usersOf({ ann: { tokens: [tokenLine(ann)], connect: { allow: [] }, listen } }));
    expect(await listener.over).toBe("forbidden");
    expect(await opened(session, `127.0.0.1:${echo.port}`)).toBe("forbidden");
    stream.write(Buffer.from("still here"));
    expect(await echoed.promise).toBe("still here");
    expect(server.sessions()[0]?.tunnels.map(({ address }) => address)).toEqual([keeps.ready]);
  });

  test("a dial under way is given up when its address is not allowed any more, and one that still is goes on", async () => {
    const [first, second] = [await fullListener("127.0.0.1"), await fullListener("127.0.0.2")];
    const may = (...allow: string[]) => usersOf({ ann: { tokens: [tokenLine(ann)], connect: { allow } } });
    server.setUsers(may("127.0.0.1:*", "127.0.0.2:*"));
    const session = await open(ann);
    const refused = opened(session, `127.0.0.1:${first.port}`);
    void opened(session, `127.0.0.2:${second.port}`);
    const dials = (): number | undefined => server.sessions()[0]?.dialing.dialing;
    await expect.poll(dials).toBe(2);
    server.setUsers(may("127.0.0.2:*"));
    expect(await refused).toBe("forbidden");
    expect(dials()).toBe(1);
  });

  test("a listener that was being opened meanwhile is not granted either, whenever the rules change", async () => {
    const folder = mkdtempSync(join(tmpdir(), "culvert-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "listener.sock");
    const mayListen = (rule: string): void => {
      server.setUsers(usersOf({ ann: { tokens: [tokenLine(ann)], listen: { allow: [rule] } } }));
    };
    mayListen(`unix:${path}`);
    const session = await open(ann);
    const told: string[] = [];
    server.on("tunnel", ({ current }) => told.push(current));
    for (let turns = 0; turns < 30; turns += 1) {
      // What a process left behind that was killed: it takes some turns to find out that nobody is there.
      const left = createServer().listen(join(folder, "left.sock"));
      await once(left, "listening");
      linkSync(join(folder, "left.sock"), path);
      left.close();
      await once(left, "close");
      const answer = listened(session, `unix://${path}`);
      for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      mayListen("8000");
      expect(await (await answer).over).toBe("forbidden");
      expect(server.sessions()[0]?.tunnels).toEqual([]);
      mayListen(`unix:${path}`);
      rmSync(path, { force: true });
    }
    // None is said to be closed that nobody was told of: those were refused.
    const counted = (current: string): number => told.filter((one) => one === current).length;
    expect(counted("failed")).toBeGreaterThan(0);
    expect(counted("closed")).toBe(counted("listening"));
  });

  test("a broken file changes nothing: it is no users at all", async () => {
    await using echo = await EchoService.start();
    const session = await open(ann);
    for (let round = 0; round < 100; round += 1) {
      expect(() => server.setUsers(parseUsers("version: 1\nusers: { ann: { connect: 1 } }", "u"))).toThrow();
      expect(await opened(session, `127.0.0.1:${echo.port}`)).toBe("accepted");
    }
  });

  test("a server that was made without users takes none", async () => {
    await using plain = new Server({ port: 0 });
    expect(() => plain.setUsers(usersOf(BOTH))).toThrow("made without users");
  });
});
