import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { Client, CONNECT, LISTEN } from "@culvert/client";
import { peerCertificateOf, Server } from "@culvert/server";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Authority, CLIENT_AUTH, type Issued, pinOf, SERVER_AUTH } from "../support/authority.ts";
import { until } from "../support/deadline.ts";
import { freeAddress } from "../support/free-port.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { Service } from "../support/service.ts";
import { MODES, TunnelFixture } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

let ca: Authority;
let next: Authority;
let first: Issued;
beforeAll(async () => {
  ca = await Authority.create("first CA");
  next = await Authority.create("next CA");
  first = await ca.issue();
});

const refused = (code: string): Record<string, unknown> => ({ code });

describe.each(MODES)("over TLS of the server's own, in mode %s", (mode) => {
  it("bytes arrive whole", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start({
      server: { tls: first },
      client: { tls: { ca: ca.pem }, mode, listen: await freeAddress(), connect: service.address },
    });
    const visitor = await WireEnd.connect(fixture.client.tunnels[0]?.address);
    const bytes = randomBytes(3_000_000);
    const hash = createHash("sha256");
    let received = 0;
    visitor.socket.on("data", (chunk: Buffer) => {
      hash.update(chunk);
      received += chunk.length;
    });
    visitor.socket.end(bytes);
    expect(await visitor.closed()).toBe("end");
    expect(received).toBe(bytes.length);
    expect(hash.digest("hex")).toBe(createHash("sha256").update(bytes).digest("hex"));
  });
});

/** A client with a session, whose server has come to have a certificate of a CA that the client does not trust. */
async function distrusting(seed: number): Promise<TunnelFixture> {
  const fixture = await TunnelFixture.start({
    seed,
    server: { tls: first },
    client: { tls: { ca: ca.pem } },
  });
  fixture.server.setTls(await next.issue());
  fixture.proxy.cut({ how: "rst" });
  return fixture;
}

describe("F47: new certificates while the server runs", () => {
  it("end no session, and resuming works across them, also from one CA to the next", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start({
      seed: 1,
      server: { tls: first },
      client: {
        // With an overlap: the client knows both CAs before the server has a certificate of the next one.
        tls: { ca: [ca.pem, next.pem] },
        mode: CONNECT,
        listen: await freeAddress(),
        connect: service.address,
      },
    });
    const visitor = await WireEnd.connect(fixture.client.tunnels[0]?.address);
    expect(await visitor.ask("before")).toBe("before");
    for (const [n, tls] of [await ca.issue(), await next.issue()].entries()) {
      fixture.server.setTls(tls);
      expect(await visitor.ask("the same WebSocket")).toBe("the same WebSocket");
      fixture.proxy.cut({ how: "rst" });
      await fixture.states.entered("open", n + 2);
      expect(await visitor.ask("another one")).toBe("another one");
    }
    expect(fixture.client.stats()).toMatchObject({ sessions: 1, dials: 3 });
    visitor.socket.end();
    expect(await visitor.closed()).toBe("end");
  });

  it("that a client with a session does not trust are tried again, until they are mended", async () => {
    await using fixture = await distrusting(2);
    const failures = (): unknown[] => fixture.clientLog.find({ code: "untrusted_server" });
    await until(() => failures().length >= 3, "three dials have failed", 30_000);
    expect(fixture.client.state).toBe("detached");
    fixture.server.setTls(await ca.issue());
    await fixture.states.entered("open", 2);
    expect(fixture.client.stats().sessions).toBe(1);
  });
});

describe("client certificates", () => {
  const start = async (clientCa: string): Promise<Server> => {
    const server = new Server({ port: 0, drainMs: 0, tls: { ...first, clientCa } });
    await server.start();
    return server;
  };

  it("E6: without one nobody gets in, with one of the right CA a tunnel works", async () => {
    await using server = await start(next.pem);
    const options = { server: server.address?.url ?? "", drainMs: 0 };
    await using none = new Client({ ...options, tls: { ca: ca.pem } });
    await expect(none.start()).rejects.toMatchObject(refused("refused_by_server"));
    const wrong = [await ca.issue(), await next.issue({ usage: [SERVER_AUTH] })];
    for (const one of [...wrong, await next.issue({ fromDay: -3, toDay: -2 })]) {
      await using client = new Client({
        ...options,
        tls: { ca: ca.pem, ...one },
        retry: { maxAttempts: 1 },
      });
      await expect(client.start()).rejects.toMatchObject(refused("attempts_exhausted"));
    }
    expect(server.stats()).toMatchObject({ transports: 0, refused: 0 });
    await using right = new Client({
      ...options,
      tls: { ca: ca.pem, ...(await next.issue({ usage: [CLIENT_AUTH] })) },
      mode: LISTEN,
      listen: "127.0.0.1:0",
      connect: "127.0.0.1:1",
    });
    await right.start();
    expect(server.stats()).toMatchObject({ attached: 1 });
  });

  it("say who it is on somebody else's server too, while its other users need none", async () => {
    const mine = await next.issue({ commonName: "me" });
    const https = createServer({ ...first, requestCert: true, rejectUnauthorized: false, ca: next.pem });
    const pins: (string | undefined)[] = [];
    https.on("secureConnection", (socket) => pins.push(peerCertificateOf(socket)?.spkiSha256));
    https.listen(0, "127.0.0.1");
    await once(https, "listening");
    await using server = new Server({ drainMs: 0 });
    server.mount(https);
    const url = `wss://127.0.0.1:${(https.address() as AddressInfo).port}/`;
    for (const own of [{}, mine]) {
      await using client = new Client({ server: url, drainMs: 0, tls: { ca: ca.pem, ...own } });
      await client.start();
    }
    https.close();
    expect(pins).toEqual([undefined, (await pinOf(mine)).slice("sha256/".length)]);
  });
});

describe("setTls of a client", () => {
  it("E10: what is right counts from the next dial on, and what is wrong changes nothing", async () => {
    await using fixture = await distrusting(1);
    const failures = (): unknown[] => fixture.clientLog.find({ code: "untrusted_server" });
    await until(() => failures().length >= 1, "a dial has failed", 30_000);
    expect(() => fixture.client.setTls({ ca: "garbage" })).toThrow(/tls\.ca/);
    await until(() => failures().length >= 2, "another dial has failed", 30_000);
    fixture.client.setTls({ ca: next.pem });
    await fixture.states.entered("open", 2);
    expect(fixture.client.stats().sessions).toBe(1);
  });

  it("a client that was made without tls takes none", async () => {
    await using client = new Client({ server: "wss://localhost:1" });
    expect(() => client.setTls({ ca: ca.pem })).toThrow(/made without tls/);
  });
});
