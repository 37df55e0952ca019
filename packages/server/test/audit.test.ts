import { connect } from "node:net";
import { silentLogger } from "@culvert/peer";
import type { Users } from "@culvert/policy";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { Audit } from "../src/audit.ts";
import { type AuditRecord, Server } from "../src/index.ts";
import { listened, opened, portOf } from "./support/asking.ts";
import { EchoService } from "./support/echo-service.ts";
import { helloOf, openSession, RawClient } from "./support/raw-client.ts";
import { ann, tokenLine } from "./support/tokens.ts";
import { usersOf } from "./support/users.ts";

const TOKEN = "canary-0123456789abcdef";

/** A server that writes down what it does; its records are of these types, as they come. */
async function audited(rules: { allowConnect?: string[]; allowListen?: string[]; users?: Users } = {}) {
  const records: AuditRecord[] = [];
  const server = new Server({
    port: 0,
    drainMs: 0,
    token: TOKEN,
    audit: (one) => records.push(one),
    ...rules,
  });
  await server.start();
  onTestFinished(() => server.close());
  const recorded = async <T extends AuditRecord["type"]>(
    type: T,
  ): Promise<Extract<AuditRecord, { type: T }>> => {
    const find = () => records.find((record) => record.type === type);
    await expect.poll(find).toBeDefined();
    return find() as Extract<AuditRecord, { type: T }>;
  };
  return { server, url: server.address?.url ?? "", records, recorded };
}

describe("the audit of a server", () => {
  test("says who came in, what was opened by which rule, how long it took and how much it carried", async () => {
    await using echo = await EchoService.start();
    const rule = `127.0.0.1:${echo.port}`;
    const { url, records, recorded } = await audited({ allowConnect: [rule] });
    const headers = { "User-Agent": "test/1" };
    const session = await openSession(url, helloOf({ name: "office" }), { token: TOKEN, headers });
    const by = { session: session.welcome.session, identity: "token", client: "office" };
    const stream = session.link.openStream(
      { kind: "tcp", target: `localhost:${echo.port}` },
      { onData: (chunk) => stream.consumed(chunk.length), onEnd: () => undefined, onReset: () => undefined },
    );
    stream.write(Buffer.from("hello"));
    stream.end();
    const close = await recorded("close");
    expect(close).toMatchObject({ ...by, stream: stream.id, bytesIn: 5, bytesOut: 5, code: undefined });
    expect(close.durationMs).toBeGreaterThanOrEqual(0);
    session.link.close();
    await session.client.closed;
    await expect.poll(() => records.at(-1)?.type).toBe("session");
    expect(records).toMatchObject([
      {
        type: "login",
        identity: "token",
        credential: "shared-token",
        userAgent: "test/1",
        remoteAddress: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      },
      { type: "session", what: "begun", ...by, credential: "shared-token" },
      {
        type: "open",
        ...by,
        stream: stream.id,
        target: `tcp://localhost:${echo.port}`,
        address: "127.0.0.1",
        rule: "allowConnect[0]",
      },
      { type: "close" },
      { type: "session", what: "ended", ...by, cause: "closed" },
    ]);
    for (const { time } of records) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(JSON.stringify(records)).not.toContain("canary");
    expect(JSON.stringify(records)).not.toContain("hello");
  });

  test("says what was refused, and why", async () => {
    const { url, recorded, records } = await audited({ allowConnect: ["127.0.0.2:*"] });
    await expect(RawClient.connect(url, { token: "canary-of-a-stranger" })).rejects.toThrow("401");
    expect(await recorded("login_refused")).toMatchObject({ reason: 401, why: expect.any(String) });
    const session = await openSession(url, helloOf(), { token: TOKEN });
    await opened(session, "localhost:80");
    expect(await recorded("open_refused")).toMatchObject({
      target: "localhost:80",
      addresses: ["127.0.0.1", "::1"],
      code: "forbidden",
      reason: expect.stringContaining("127.0.0.1"),
    });
    await listened(session, "tcp://0.0.0.0:0");
    expect(await recorded("listen_refused")).toMatchObject({ listen: "tcp://0.0.0.0:0", code: "forbidden" });
    expect(JSON.stringify(records)).not.toContain("canary");
    session.link.close();
  });

  test("says nothing of a request without credentials where users log in: each login by key begins so", async () => {
    const users = usersOf({ nobody: {} });
    const { url, recorded, records } = await audited({ users });
    await expect(RawClient.connect(url)).rejects.toThrow("401");
    await expect(RawClient.connect(url, { token: "canary-of-a-stranger" })).rejects.toThrow("401");
    await recorded("login_refused");
    expect(records).toHaveLength(1);
  });

  test("names the address that was dialed as it was judged, however the resolver spells it, and its rule", async () => {
    await using echo = await EchoService.start();
    const records: AuditRecord[] = [];
    await using server = new Server({
      port: 0,
      drainMs: 0,
      allowConnect: ["*:*", "127.0.0.1:*"],
      lookup: (_host, _options, callback) => callback(null, [{ address: "::FFFF:127.0.0.1", family: 6 }]),
      audit: (record) => records.push(record),
    });
    await server.start();
    const session = await openSession(server.address?.url ?? "");
    expect(await opened(session, `db.example:${echo.port}`)).toBe("accepted");
    const open = records.find(({ type }) => type === "open");
    expect(open).toMatchObject({ address: "::FFFF:127.0.0.1", rule: "allowConnect[1]" });
    session.link.close();
  });

  test("T14: who is revoked because of what a record says keeps nothing of that connection", async () => {
    await using echo = await EchoService.start();
    const records: AuditRecord[] = [];
    const onRecord = (record: AuditRecord): void => {
      records.push(record);
      if (record.type === "open") server.setUsers(usersOf({}));
    };
    const rule = `127.0.0.1:${echo.port}`;
    const users = usersOf({ ann: { tokens: [tokenLine(ann)], connect: { allow: [rule] } } });
    await using server = new Server({ port: 0, drainMs: 0, users, audit: onRecord });
    await server.start();
    const session = await openSession(server.address?.url ?? "", helloOf(), { token: ann });
    expect(await opened(session, rule)).toBe("revoked");
    await expect.poll(() => echo.connections[0]?.destroyed).toBe(true);
    await expect.poll(() => records.at(-1)).toMatchObject({ type: "close", code: "revoked" });
  });

  test("says who listens where, and who came to visit", async () => {
    const { url, recorded } = await audited({ allowListen: ["*"] });
    const session = await openSession(url, helloOf(), { token: TOKEN });
    const answer = await listened(session, "tcp://127.0.0.1:0");
    expect(await recorded("listen")).toMatchObject({ listen: "tcp://127.0.0.1:0", address: answer.ready });
    session.link.onStream = (incoming) => incoming.refuse("not_accepted");
    const visitor = connect(portOf(answer.ready), "127.0.0.1");
    visitor.on("error", () => undefined);
    await new Promise((resolve) => visitor.on("close", resolve));
    expect(await recorded("visit")).toMatchObject({
      address: answer.ready,
      visitor: expect.stringContaining("127.0.0.1"),
    });
    const { stream } = await recorded("visit");
    expect(await recorded("close")).toMatchObject({ stream, code: "not_accepted", bytesIn: 0, bytesOut: 0 });
    session.link.closeTunnel(answer.id);
    expect(await recorded("listen_closed")).toMatchObject({ code: "closed" });
    session.link.close();
  });

  test("names a few of the addresses of a name, however many its resolver says", async () => {
    const records: AuditRecord[] = [];
    const addresses = Array.from({ length: 300 }, (_, at) => ({ address: `127.0.1.${at % 256}`, family: 4 }));
    const server = new Server({
      ...{ port: 0, drainMs: 0, allowConnect: ["*:*"], audit: (record) => void records.push(record) },
      lookup: (_host, _options, callback) => callback(null, addresses),
    });
    await server.start();
    const session = await openSession(server.address?.url ?? "");
    for (let count = 0; count < 260; count += 1) {
      expect(await opened(session, "many.example:80")).toBe("forbidden");
    }
    const refused = () => records.filter((record) => record.type === "open_refused");
    expect(refused()[0]?.addresses).toEqual(addresses.slice(0, 16).map(({ address }) => address));
    session.link.close();
    await server.close();
    // What was left out is told at the end, if there was no time before.
    expect(refused().reduce((sum, { leftOut = 0 }) => sum + 1 + leftOut, 0)).toBe(260);
  });

  test("shows foreign text cut, and its control characters as escapes", async () => {
    const { url, recorded } = await audited({ allowConnect: [] });
    // A C1 character that begins an escape sequence, in the one place where HTTP lets it pass.
    const headers = { "User-Agent": "a\u009b31mb" };
    const session = await openSession(url, helloOf(), { token: TOKEN, headers });
    expect((await recorded("login")).userAgent).toBe("a\\u009b31mb");
    await opened(session, `${"x".repeat(300)}:80`);
    expect((await recorded("open_refused")).target).toMatch(/^x{256}…$/);
    session.link.close();
  });

  test("an audit that throws is logged, and harms nobody", async () => {
    const errors: string[] = [];
    const logger = { ...silentLogger, error: (_: object, message: string) => void errors.push(message) };
    const audit = new Audit(() => {
      throw new Error("disk full");
    }, logger);
    audit.tell({ type: "login", identity: "a", credential: "b", remoteAddress: "c", userAgent: "d" });
    expect(errors).toEqual(["the audit option failed"]);
  });
});

describe("refusals without end", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("200 of a kind at once, then one a second with the number of those that were left out", () => {
    const records: AuditRecord[] = [];
    const audit = new Audit((record) => records.push(record), silentLogger);
    const refuse = (reason: number) =>
      audit.tellRefusal({ type: "login_refused", reason, remoteAddress: undefined });
    for (let count = 0; count < 1000; count += 1) refuse(count);
    expect(records).toHaveLength(200);
    vi.advanceTimersByTime(1100);
    expect(records).toHaveLength(201);
    expect(records[200]).toMatchObject({ reason: 999, leftOut: 799 });
    vi.advanceTimersByTime(60_000);
    expect(records).toHaveLength(201);
    // Each kind by itself, and what is no refusal is never left out.
    audit.tellRefusal({
      type: "visit_refused",
      ...{ session: "s", identity: "i", client: "c", address: "a", visitor: "v", code: "stream_limit" },
    });
    expect(records).toHaveLength(202);
  });
});
