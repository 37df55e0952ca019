import { Client, type ClientOptions, CONNECT, LISTEN } from "@culvert/client";
import { parseUsers, type Users } from "@culvert/policy";
import { type AuditRecord, tokenDigest } from "@culvert/server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { Forked } from "../support/forked.ts";
import { freePort } from "../support/free-port.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { Service } from "../support/service.ts";
import { QUICK_RETRY, TunnelFixture, urlOf } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

const ANN = `culvert_annannan_${"a".repeat(43)}`;
const BOB = `culvert_bobbobbo_${"b".repeat(43)}`;
const MAY_ALL = { connect: { allow: ["127.0.0.1:*"] }, listen: { allow: ["*"] } };

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

function usersOf(users: Record<string, object>): Users {
  return parseUsers(JSON.stringify({ version: 1, users }), "users.json");
}

const ann = { tokens: [tokenDigest(ANN)], ...MAY_ALL };
const bob = { tokens: [tokenDigest(BOB)], ...MAY_ALL };

/** A server of ann and bob. */
function served(): Promise<TunnelFixture> {
  return TunnelFixture.prepare({ server: { users: usersOf({ ann, bob }) } });
}

function optionsOf(fixture: TunnelFixture, token: string, port: number, connect: string): ClientOptions {
  return {
    ...{ server: urlOf(fixture.server), token, name: "office", retry: QUICK_RETRY, drainMs: 0 },
    tunnels: [{ mode: LISTEN, listen: `127.0.0.1:${port}`, connect }],
  };
}

async function answerAt(port: number): Promise<string> {
  const visitor = await WireEnd.connect(`127.0.0.1:${port}`);
  const answer = await visitor.ask("who is it?");
  visitor.socket.destroy();
  return answer;
}

describe("a port and its owner", () => {
  it("T23, 102: whoever else wants it is told that it is held, and the killed owner has it again at once", async () => {
    await using service = await Service.echo();
    await using fixture = await served();
    const port = await freePort();
    await using first = Forked.start("client-process.ts", optionsOf(fixture, ANN, port, service.address));
    await first.ask("start");
    await using other = new Client(optionsOf(fixture, BOB, port, service.address));
    const told = new Set<string>();
    other.on("tunnel", ({ event }) => {
      told.add(event.type === "failed" ? event.cause.code : event.type);
    });
    await other.start();
    await first.kill();
    await until(() => fixture.server.stats().detached === 1, "the owner is away");
    // Bob asks every few milliseconds, before and after ann is back.
    await using second = Forked.start("client-process.ts", optionsOf(fixture, ANN, port, service.address));
    expect(await second.ask("start")).toEqual([`tcp://127.0.0.1:${port}`]);
    expect(await answerAt(port)).toBe("who is it?");
    expect([...told]).toEqual(["listener_held"]);
    await second.ask("close");
    await until(() => other.tunnels[0]?.state === "ready", "bob has it");
    expect(await answerAt(port)).toBe("who is it?");
  });

  it("9: of two clients of one identity and name one keeps serving; they do not take turns", async () => {
    await using service = await Service.echo();
    await using fixture = await served();
    const { server } = fixture;
    const displacements: string[] = [];
    server.on("session", ({ current, cause, session }) => {
      if (current === "ended" && cause?.code === "displaced") displacements.push(session.id);
    });
    const port = await freePort();
    await using older = new Client(optionsOf(fixture, ANN, port, service.address));
    await older.start();
    await using newer = new Client(optionsOf(fixture, ANN, port, service.address));
    await newer.start();
    expect(await older.closed).toMatchObject({ code: "displaced" });
    // Who came back would do so within milliseconds; it has no timer left to do it with.
    for (let round = 0; round < 20; round += 1) expect(await answerAt(port)).toBe("who is it?");
    expect(displacements).toHaveLength(1);
    expect(older.state).toBe("closed");
    expect(newer.stats()).toMatchObject({ dials: 1, sessions: 1 });
    expect(server.stats()).toMatchObject({ sessions: 1, transports: 2 });
  });
});

describe("T14: a user who is revoked", () => {
  it("in the middle of a transfer is cut off, and does not come back", async () => {
    await using service = await Service.echo();
    await using fixture = await served();
    const options = { server: urlOf(fixture.server), retry: QUICK_RETRY, drainMs: 0 };
    await using revoked = new Client({ ...options, token: ANN, name: "a" });
    await using other = new Client({ ...options, token: BOB, name: "b" });
    await Promise.all([revoked.start(), other.start()]);
    const listen = "127.0.0.1:0";
    const [cut, kept] = await Promise.all(
      [revoked, other].map(async (client) => {
        const tunnel = await client.openTunnel({ mode: CONNECT, listen, connect: service.address });
        const visitor = await WireEnd.connect((tunnel.address ?? "").replace("tcp://", ""));
        expect(await visitor.ask("before")).toBe("before");
        return visitor;
      }),
    );
    fixture.server.setUsers(usersOf({ bob }));
    expect(await cut?.closed()).toBe("ECONNRESET");
    expect(await revoked.closed).toMatchObject({ code: "revoked" });
    expect(await kept?.ask("after")).toBe("after");
    kept?.socket.destroy();
    await expect(revoked.start()).rejects.toMatchObject({ code: "unauthorized" });
  });
});

describe("107: a name that resolves to a forbidden address", () => {
  it("is refused, and the record says which address it was", async () => {
    await using service = await Service.echo();
    const records: AuditRecord[] = [];
    await using fixture = await TunnelFixture.start({
      server: {
        allowConnect: ["*.svc.internal:*"],
        lookup: (_host, _options, callback) => callback(null, [{ address: "127.0.0.1", family: 4 }]),
        audit: (record) => records.push(record),
      },
    });
    const port = service.address.split(":").at(-1);
    const tunnel = await fixture.open(CONNECT, `db.svc.internal:${port}`);
    const visitor = await WireEnd.connect((tunnel.address ?? "").replace("tcp://", ""));
    expect(await visitor.closed()).toBe("ECONNRESET");
    expect(records.find(({ type }) => type === "open_refused")).toMatchObject({
      target: `tcp://db.svc.internal:${port}`,
      addresses: ["127.0.0.1"],
      code: "forbidden",
    });
  });
});
