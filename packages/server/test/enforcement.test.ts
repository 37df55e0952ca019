import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer, type LookupFunction } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { freePort } from "../../../test/support/free-port.ts";
import { Server, type ServerOptions } from "../src/index.ts";
import { listened, opened, portOf } from "./support/asking.ts";
import { EchoService } from "./support/echo-service.ts";
import { helloOf, openSession, RawClient, type RawSession } from "./support/raw-client.ts";

/** docs/protocol.md: the type and the id of a tunnel. */
const TUNNEL_CLOSE = 0x0a;

/** A server with these options, and a client's session with it; both end with the test. */
async function served(options: ServerOptions): Promise<{ server: Server; session: RawSession }> {
  const server = new Server({ port: 0, drainMs: 0, ...options });
  await server.start();
  const session = await openSession(server.address?.url ?? "");
  onTestFinished(async () => {
    session.link.close();
    await server.close();
  });
  return { server, session };
}

/** Services on two addresses of loopback at the same port. */
async function twins(a: string, b: string): Promise<[EchoService, EchoService]> {
  const first = await EchoService.start(a);
  onTestFinished(() => first[Symbol.asyncDispose]());
  const second = await EchoService.start(b, first.port);
  onTestFinished(() => second[Symbol.asyncDispose]());
  return [first, second];
}

/** Answers each question for an IPv4 address with what `next` says, for 0 seconds (RFC 1035 section 4). */
async function nameServer(next: () => string): Promise<{ socket: DatagramSocket; port: number }> {
  const socket = createSocket("udp4");
  socket.on("message", (query, from) => {
    const question = query.subarray(12, query.indexOf(0, 12) + 5);
    const head = Buffer.from(query.subarray(0, 12));
    head.writeUInt16BE(0x8180, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(1, 6);
    head.writeUInt32BE(0, 8);
    const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...next().split(".").map(Number)]);
    socket.send(Buffer.concat([head, question, answer]), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  onTestFinished(() => void socket.close());
  return { socket, port: socket.address().port };
}

describe("what is dialed", () => {
  test("T16: what was asked for before does not open anything else; nothing is seen at a refused target", async () => {
    const [a, b] = await twins("127.0.0.1", "127.0.0.2");
    const { session } = await served({ allowConnect: [`127.0.0.1:${a.port}`], allowListen: ["*"] });
    expect(await opened(session, `tcp://127.0.0.1:${a.port}`)).toBe("accepted");
    await listened(session, "tcp://127.0.0.1:0");
    expect(await opened(session, `tcp://127.0.0.2:${b.port}`)).toBe("forbidden");
    expect(b.connections).toHaveLength(0);
  });

  test("B26, T17: a refusal is one code, for an address, a name that is known and one that is not", async () => {
    const asked: string[] = [];
    const { session } = await served({
      allowConnect: ["db.internal:5432"],
      lookup: (host, _options, callback) => {
        asked.push(host);
        callback(null, [{ address: "10.0.0.1", family: 4 }]);
      },
    });
    for (const target of ["10.0.0.1:80", "db.internal:80", "nowhere.example:5432", "localhost:80"]) {
      expect(await opened(session, target)).toBe("forbidden");
    }
    expect(asked).toEqual([]); // nobody learns from a server's resolver what he may not dial
  });

  test("T18: of a name whose answer changes only the allowed address is dialed, in 200 tries", async () => {
    const [a, b] = await twins("127.0.0.2", "127.0.0.3");
    let asked = 0;
    const both = [
      { address: "127.0.0.3", family: 4 },
      { address: "127.0.0.2", family: 4 },
    ];
    const lookup: LookupFunction = (_host, _options, callback) => {
      asked += 1;
      callback(null, asked % 3 === 0 ? both : [both[asked % 2]!]);
    };
    const { session } = await served({ allowConnect: ["127.0.0.2:*"], lookup });
    const outcomes = new Map<string, number>();
    for (let tries = 0; tries < 200; tries += 1) {
      const outcome = await opened(session, `rebind.example:${a.port}`);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    // One look-up a try, so what was judged is what was dialed.
    expect(asked).toBe(200);
    expect([...outcomes.keys()].sort()).toEqual(["accepted", "forbidden"]);
    expect(outcomes.get("accepted")).toBe(a.connections.length);
    expect(b.connections).toHaveLength(0);
  });

  test("T18: the same with a DNS server that changes its answer", async () => {
    const [a, b] = await twins("127.0.0.2", "127.0.0.3");
    let asked = 0;
    const { port } = await nameServer(() => {
      asked += 1;
      return asked % 2 === 0 ? "127.0.0.3" : "127.0.0.2";
    });
    const resolver = new Resolver();
    resolver.setServers([`127.0.0.1:${port}`]);
    const lookup: LookupFunction = (host, _options, callback) => {
      resolver.resolve4(host).then(
        (addresses) => {
          callback(
            null,
            addresses.map((address) => ({ address, family: 4 })),
          );
        },
        (error: Error) => callback(error, []),
      );
    };
    const { session } = await served({ allowConnect: ["127.0.0.2:*"], lookup });
    const outcomes: string[] = [];
    for (let tries = 0; tries < 200; tries += 1)
      outcomes.push(await opened(session, `rebind.example:${a.port}`));
    expect(asked).toBe(200);
    expect(new Set(outcomes)).toEqual(new Set(["accepted", "forbidden"]));
    expect(b.connections).toHaveLength(0);
  });

  test("T18: a resolver that answers with a name gets nothing dialed", async () => {
    await using echo = await EchoService.start();
    const { session } = await served({
      allowConnect: ["*:*", "127.0.0.1:*"],
      lookup: (_host, _options, callback) => callback(null, [{ address: "localhost", family: 4 }]),
    });
    expect(await opened(session, `name.example:${echo.port}`)).toBe("target_unresolvable");
    expect(echo.connections).toHaveLength(0);
  });

  test("T19: every spelling of a forbidden address is refused", async () => {
    await using echo = await EchoService.start("::");
    const lookup: LookupFunction = (_host, _options, callback) => {
      callback(null, [
        { address: "127.0.0.1", family: 4 },
        { address: "::ffff:127.0.0.1", family: 6 },
      ]);
    };
    const { session } = await served({ allowConnect: ["*:*", "0.0.0.0/0:*", "[::/0]:*"], lookup });
    const spellings = [
      ...["127.0.0.1", "127.1", "0x7f.1", "0177.0.0.1", "2130706433", "127.0.0.1.", "127.0.0.2"],
      ...["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"],
      ...[
        "0",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "localhost",
        "LOCALHOST.",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "[::1%lo]",
      ],
      ...["[0:0:0:0:0:0:0:1]", "[::0.0.0.0]", "[2001:0:7f00:1::]", "looks-harmless.example"],
    ];
    for (const host of spellings) {
      const outcome = await opened(session, `${host}:${echo.port}`);
      expect(["forbidden", "bad_address"], host).toContain(outcome);
    }
    expect(echo.connections).toHaveLength(0);
  });

  test("T20, T21: a wide rule opens neither the machine itself, nor metadata, nor the server's own ports", async () => {
    const { server, session } = await served({ allowConnect: ["*:*"] });
    const own = server.address?.port;
    for (const target of [
      `127.0.0.1:${own}`,
      `0.0.0.0:${own}`,
      `[::]:${own}`,
      `localhost:${own}`,
      "169.254.169.254:80",
      "[fd00:ec2::254]:80",
      "[fe80::1]:80",
      "224.0.0.1:80",
      "255.255.255.255:80",
    ]) {
      expect(await opened(session, target), target).toBe("forbidden");
    }
  });

  test("T20, T21: a rule for loopback does not open the server's own ports, nor those of a server it is mounted on", async () => {
    const site = createHttpServer();
    site.listen(0, "127.0.0.1");
    await once(site, "listening");
    onTestFinished(() => void site.close());
    const { server, session } = await served({ allowConnect: ["127.0.0.0/8:*"], path: "/tunnel" });
    const { port } = site.address() as { port: number };
    expect(await opened(session, `127.0.0.1:${port}`)).toBe("accepted");
    server.mount(site);
    for (const own of [port, server.address?.port]) {
      expect(await opened(session, `127.0.0.1:${own}`)).toBe("forbidden");
      expect(await opened(session, `localhost:${own}`)).toBe("forbidden");
    }
    expect(server.stats().transports).toBe(1);
  });

  test("a Unix socket is dialed by its own rule only", async () => {
    const { session } = await served({ allowConnect: ["*:*", "unix:/run/none/a.sock"] });
    expect(await opened(session, "unix:///run/none/a.sock")).toBe("target_unreachable");
    expect(await opened(session, "unix:///run/none/b.sock")).toBe("forbidden");
  });

  test("nothing written out: a local client may all, one that came through a proxy nothing", async () => {
    await using echo = await EchoService.start();
    const server = new Server({ port: 0, drainMs: 0, token: "0123456789abcdef" });
    await server.start();
    const url = server.address?.url ?? "";
    const token = "0123456789abcdef";
    const local = await openSession(url, helloOf({ name: "local" }), { token });
    const headers = { "X-Forwarded-For": "192.0.2.1" };
    const far = await openSession(url, helloOf({ name: "far" }), { token, headers });
    expect(await opened(local, `127.0.0.1:${echo.port}`)).toBe("accepted");
    expect(await opened(far, `127.0.0.1:${echo.port}`)).toBe("forbidden");
    expect(await listened(far, "tcp://127.0.0.1:0")).toMatchObject({ closed: "forbidden" });
    for (const { link } of [local, far]) link.close();
    await server.close();
  });
});

describe("what is listened on", () => {
  async function isServed(port: number): Promise<boolean> {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    const answered = await Promise.race([
      once(socket, "connect").then(
        () => true,
        () => false,
      ),
      once(socket, "close").then(() => false),
    ]);
    socket.destroy();
    return answered;
  }

  test("T22: ports alone mean loopback; a wildcard is bound only where it was written out", async () => {
    const [first, second] = [await freePort(), await freePort()];
    const { session } = await served({ allowListen: [`${first}`, `*:${second}`] });
    expect(await listened(session, `tcp://0.0.0.0:${first}`)).toMatchObject({ closed: "forbidden" });
    expect(await listened(session, `tcp://[::]:${first}`)).toMatchObject({ closed: "forbidden" });
    expect(await isServed(first)).toBe(false);
    expect(await listened(session, `tcp://127.0.0.1:${first}`)).toHaveProperty("ready");
    expect(await isServed(first)).toBe(true);
    expect(await listened(session, `tcp://0.0.0.0:${second}`)).toHaveProperty("ready");
  });

  test("B36: any port, a privileged one, none such, the server's own, one in use, one out of range", async () => {
    const blocker = createServer();
    blocker.listen(0, "127.0.0.1");
    await once(blocker, "listening");
    onTestFinished(() => void blocker.close());
    const { port: inUse } = blocker.address() as { port: number };
    const { server, session } = await served({ allowListen: ["0,1024-65000"] });
    const own = server.address?.port ?? 0;
    const codeAt = async (listen: string) => (await listened(session, listen)).closed;
    expect(portOf((await listened(session, "tcp://127.0.0.1:0")).ready)).toBeGreaterThan(0);
    expect(await codeAt("tcp://127.0.0.1:22")).toBe("forbidden");
    expect(await codeAt("tcp://127.0.0.1:65536")).toBe("bad_address");
    expect(await codeAt(`tcp://127.0.0.1:${own}`)).toBe("forbidden");
    expect(await codeAt(`tcp://127.0.0.2:${own}`)).toBeUndefined(); // another address, where the server is not
    expect(await codeAt(`tcp://127.0.0.1:${inUse}`)).toBe("address_in_use");
    expect(await codeAt("tcp://127.0.0.1:65001")).toBe("forbidden");
  });

  test("the address that a name turned out to have is judged", async () => {
    const port = await freePort();
    const { session } = await served({ allowListen: [`127.0.0.1:${port}`] });
    expect(await listened(session, `tcp://localhost:${port}`)).toMatchObject({
      ready: `tcp://127.0.0.1:${port}`,
    });
    const { session: other } = await served({ allowListen: [`127.0.0.2:${port}`] });
    expect(await listened(other, `tcp://localhost:${port}`)).toMatchObject({ closed: "forbidden" });
  });

  test("a Unix socket is bound by its own rule only", async () => {
    const folder = mkdtempSync(join(tmpdir(), "culvert-listen-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const { session } = await served({ allowListen: ["*:*", `unix:${folder}/a.sock`] });
    expect(await listened(session, `unix://${folder}/a.sock`)).toMatchObject({
      ready: `unix://${folder}/a.sock`,
    });
    expect(await listened(session, `unix://${folder}/b.sock`)).toMatchObject({ closed: "forbidden" });
  });

  test("B38: nobody closes somebody else's listener", async () => {
    const { server, session } = await served({});
    const answer = await listened(session, "tcp://127.0.0.1:0");
    const thief = await RawClient.connect(server.address?.url ?? "");
    await thief.welcomed(helloOf({ name: "thief" }));
    thief.send(Uint8Array.of(TUNNEL_CLOSE, 0, 0, 0, answer.id));
    expect((await thief.closed).code).toBe(4400);
    expect(await isServed(portOf(answer.ready))).toBe(true);
  });
});
