import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { createSecureContext } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Authority, type Issued } from "../../../test/support/authority.ts";
import { LogRecorder } from "../../../test/support/log-recorder.ts";
import { Server, type ServerOptions, type SniCallback } from "../src/index.ts";
import { helloOf, RawClient } from "./support/raw-client.ts";
import { rawRequest } from "./support/raw-http.ts";
import { tlsClient, tlsOutcome } from "./support/tls-client.ts";

const TOKEN = "0123456789abcdef";

let ca: Authority;
let one: Issued;
let another: Issued;
beforeAll(async () => {
  ca = await Authority.create();
  one = await ca.issue({ commonName: "one" });
  another = await ca.issue({ commonName: "another" });
});

async function started(options: ServerOptions = {}): Promise<Server & { readonly port: number }> {
  const server = new Server({ port: 0, token: TOKEN, tls: one, drainMs: 0, ...options });
  await server.start();
  return Object.assign(server, { port: server.address?.port ?? 0 });
}

/** Resolves when it is closed, well or not. */
function closeOf(socket: Socket): Promise<void> {
  socket.on("error", () => undefined).resume();
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

/** The subject of what the server shows. */
async function shown(port: number, servername?: string): Promise<string | undefined> {
  const socket = await tlsClient(port, servername === undefined ? {} : { servername });
  const subject = socket.getPeerX509Certificate()?.subject;
  socket.destroy();
  return subject;
}

describe("a server with a certificate", () => {
  let server: Awaited<ReturnType<typeof started>>;
  const log = new LogRecorder();
  beforeAll(async () => {
    server = await started({ logger: log.logger });
  });
  afterAll(() => server.close());

  test("says that it speaks wss, and speaks HTTP in TLS", async () => {
    expect(server.address?.url).toBe(`wss://127.0.0.1:${server.port}/`);
    const socket = await tlsClient(server.port, { ca: ca.pem, rejectUnauthorized: true });
    socket.end("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 426 /);
  });

  test("T15: speaks TLS 1.2 and 1.3, and nothing older", async () => {
    const loose = { ciphers: "ALL:@SECLEVEL=0", minVersion: "TLSv1" } as const;
    expect(await tlsOutcome(server.port, { maxVersion: "TLSv1.3" })).toBe("TLSv1.3");
    expect(await tlsOutcome(server.port, { maxVersion: "TLSv1.2" })).toBe("TLSv1.2");
    for (const maxVersion of ["TLSv1.1", "TLSv1"] as const) {
      expect(await tlsOutcome(server.port, { ...loose, maxVersion })).toMatch(/PROTOCOL_VERSION/);
    }
  });

  test.each(["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "AES128-GCM-SHA256", "PSK", "aNULL"])(
    "T15: has no cipher %s",
    async (cipher) => {
      const outcome = await tlsOutcome(server.port, {
        maxVersion: "TLSv1.2",
        ciphers: `${cipher}:@SECLEVEL=0`,
      });
      expect(outcome).toMatch(/HANDSHAKE_FAILURE|NO_CIPHERS|ECONNRESET/);
    },
  );

  test("RFC 7301: takes http/1.1, and refuses who offers only others", async () => {
    const socket = await tlsClient(server.port, { ALPNProtocols: ["h2", "http/1.1"] });
    expect(socket.alpnProtocol).toBe("http/1.1");
    socket.destroy();
    expect(await tlsOutcome(server.port, { ALPNProtocols: ["h2"] })).toMatch(/NO_APPLICATION_PROTOCOL/);
  });

  test("E9: does not negotiate again", async () => {
    const socket = await tlsClient(server.port, { maxVersion: "TLSv1.2" });
    const error = await new Promise<Error | null>((resolve) => {
      socket.renegotiate({ rejectUnauthorized: false }, resolve);
      socket.once("error", resolve);
    });
    expect(String(error)).toMatch(/no renegotiation/);
    socket.destroy();
  });

  test("E9: TLS sessions can be resumed", async () => {
    const socket = await tlsClient(server.port, { maxVersion: "TLSv1.2" });
    const session = socket.getSession();
    socket.destroy();
    const again = await tlsClient(server.port, { maxVersion: "TLSv1.2", ...(session && { session }) });
    expect(again.isSessionReused()).toBe(true);
    again.destroy();
  });

  test("E1: plain HTTP gets no byte, and one line in the log", async () => {
    for (let i = 0; i < 3; i += 1) {
      const answer = rawRequest(server.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      // The end, or a reset: no byte either way.
      expect(await answer.catch(() => ({ status: Number.NaN }))).toMatchObject({ status: Number.NaN });
    }
    const lines = log.lines.filter(({ level }) => level === "warn");
    expect(lines.map(({ message }) => message)).toEqual([
      "plain HTTP came to the port of TLS: use wss:// or https://",
    ]);
  });

  test("garbage harms nobody", async () => {
    for (const garbage of [
      "\x16\x03\x01\x00\x05hello",
      "\x16\x03\x01\xff\xff",
      "\0".repeat(600),
      "SSH-2.0-x\r\n",
    ]) {
      const socket = connect(server.port, "127.0.0.1").on("error", () => undefined);
      socket.end(garbage, "latin1");
      await closeOf(socket);
    }
    expect(await shown(server.port)).toBe("CN=one");
    await expect.poll(() => server.stats().handshaking).toBe(0);
  });
});

describe("E7: the name that a client asks for", () => {
  let context: ReturnType<typeof createSecureContext>;
  beforeAll(() => {
    context = createSecureContext(another);
  });

  test("chooses the certificate; none, an unknown one and no answer leave the default", async () => {
    const asked: string[] = [];
    const sniCallback: SniCallback = async (name) => {
      asked.push(name);
      return name === "another.example" ? context : undefined;
    };
    await using server = await started({ tls: { ...one, sniCallback } });
    expect(await shown(server.port, "another.example")).toBe("CN=another");
    expect(await shown(server.port, "unknown.example")).toBe("CN=one");
    expect(await shown(server.port)).toBe("CN=one");
    const long = `${"a".repeat(60)}.`.repeat(4);
    expect(await shown(server.port, long.slice(0, -1))).toBe("CN=one");
    expect(asked).toEqual(["another.example", "unknown.example", long.slice(0, -1)]);
    // A name that is no name ends that connection, or gets the default certificate; the server goes on.
    for (const name of ["a".repeat(300), "a\0b", "\n", "ä.example"]) {
      await tlsOutcome(server.port, { servername: name }).catch(() => undefined);
    }
    expect(await shown(server.port, "another.example")).toBe("CN=another");
  });

  const BAD: readonly [string, unknown][] = [
    [
      "throws",
      () => {
        throw new Error("no");
      },
    ],
    ["rejects", () => Promise.reject(new Error("no"))],
    ["rejects with nothing", () => Promise.reject()],
    ["answers with something else", () => ({ cert: "x" })],
    ["answers with an empty context", () => ({ context: {} })],
    ["answers with a text", () => "another"],
    ["never answers", () => new Promise(() => undefined)],
  ];

  test.each(BAD)("a callback that %s fails that handshake and nothing else", async (_how, bad) => {
    const sniCallback = (name: string) => (name === "bad.example" ? (bad as SniCallback)(name) : undefined);
    await using server = await started({ tls: { ...one, sniCallback }, tlsHandshakeTimeoutMs: 300 });
    expect(await tlsOutcome(server.port, { servername: "bad.example" })).toMatch(/ECONNRESET|ERR_SSL|EPROTO/);
    expect(await shown(server.port, "good.example")).toBe("CN=one");
    await expect.poll(() => server.stats().handshaking).toBe(0);
  });
});

describe("T29: connections that do not finish TLS", () => {
  /** The first bytes of a real ClientHello. */
  async function halfHello(): Promise<Buffer> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const taken = once(server, "connection");
    const client = tlsClient(port).catch(() => undefined);
    const [socket] = (await taken) as [Socket];
    const [hello] = (await once(socket, "data")) as [Buffer];
    socket.destroy();
    server.close();
    await client;
    return hello.subarray(0, hello.length / 2);
  }

  test("E8: are closed at the deadline, even if they dribble", async () => {
    const half = await halfHello();
    await using server = await started({ tlsHandshakeTimeoutMs: 400 });
    const open = new Set<number>();
    const closed = Array.from({ length: 3 }, async (_, n) => {
      const socket = connect(server.port, "127.0.0.1").on("error", () => undefined);
      open.add(n);
      let sent = 0;
      // Silence, half a ClientHello, and one of its bytes after the other.
      if (n === 1) socket.write(half);
      const dribble = setInterval(() => n === 2 && socket.write(half.subarray(sent, ++sent)), 50);
      await closeOf(socket);
      clearInterval(dribble);
      open.delete(n);
    });
    await expect.poll(() => server.stats().handshaking).toBe(3);
    await Promise.all(closed);
    expect(open.size).toBe(0);
    await expect.poll(() => server.stats().handshaking).toBe(0);
  });

  test("are one place each, from TCP to the end of the handshake", async () => {
    await using server = await started();
    const tcp = connect(server.port, "127.0.0.1");
    await expect.poll(() => server.stats().handshaking).toBe(1);
    const tls = await tlsClient(server.port);
    expect(server.stats().handshaking).toBe(2);
    const client = await RawClient.connect(server.address?.url ?? "", { token: TOKEN, ca: ca.pem });
    expect(server.stats().handshaking).toBe(3);
    await client.welcomed(helloOf());
    expect(server.stats()).toMatchObject({ handshaking: 2, attached: 1, droppedHandshakes: 0 });
    tls.destroy();
    tcp.destroy();
    await expect.poll(() => server.stats().handshaking).toBe(0);
    client.ws.terminate();
    await expect.poll(() => server.stats().attached).toBe(0);
  });

  test("who is dropped in its handshake is cut, TLS and TCP", async () => {
    await using server = await started({ handshakeTimeoutMs: 60_000 });
    const client = await RawClient.connect(server.address?.url ?? "", { token: TOKEN, ca: ca.pem });
    const closed = server.close();
    expect((await client.closed).code).toBe(1006);
    await closed;
  });

  test("500 silent or garbage ones keep nobody out, and are all gone in the end", {
    timeout: 60_000,
  }, async () => {
    const half = await halfHello();
    await using server = await started({ tlsHandshakeTimeoutMs: 3000, headTimeoutMs: 1000 });
    const begin = async (n: number): Promise<Socket> => {
      if (n % 4 === 3) return (await tlsClient(server.port)).resume(); // TLS, and then nothing
      const socket = connect(server.port, "127.0.0.1");
      if (n % 4 === 1) socket.write(half);
      if (n % 4 === 2) socket.write("GET / HTTP/1.1\r\n\r\n");
      return socket.on("error", () => undefined).resume();
    };
    // Some are dropped by lot before they are done.
    const all = await Promise.all(Array.from({ length: 500 }, (_, n) => begin(n).catch(() => undefined)));
    const socket = await tlsClient(server.port);
    socket.write(`GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`);
    expect(String((await once(socket, "data"))[0])).toMatch(/^HTTP\/1\.1 426 /);
    socket.destroy();
    await expect.poll(() => server.stats().handshaking, { timeout: 30_000 }).toBe(0);
    await expect.poll(() => all.every((one) => one === undefined || one.destroyed)).toBe(true);
  });
});

describe("setTls", () => {
  test("F47: the next connections get the new certificate, and TLS of before is not resumed", async () => {
    const log = new LogRecorder();
    await using server = await started({ logger: log.logger });
    const before = await tlsClient(server.port, { maxVersion: "TLSv1.2" });
    const session = before.getSession();
    server.setTls(another);
    expect(await shown(server.port)).toBe("CN=another");
    const after = await tlsClient(server.port, { maxVersion: "TLSv1.2", ...(session && { session }) });
    expect(after.isSessionReused()).toBe(false);
    after.destroy();
    // What was open goes on.
    before.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(String((await once(before, "data"))[0])).toMatch(/^HTTP\/1\.1 426 /);
    before.destroy();
    expect(log.find({ message: "TLS certificate replaced" })).toHaveLength(1);
  });

  test("E10: garbage is refused, and the old one stays", async () => {
    await using server = await started();
    for (const tls of [{ ...another, cert: "garbage" }, { ...another, key: one.key }, {}, null]) {
      expect(() => server.setTls(tls as typeof one)).toThrow(/the option|an option/);
      expect(await shown(server.port)).toBe("CN=one");
    }
  });

  test("before the start counts for the start; without tls, or for another demand, it is refused", async () => {
    await using server = new Server({ port: 0, tls: one, drainMs: 0 });
    server.setTls(another);
    await server.start();
    expect(await shown(server.address?.port ?? 0)).toBe("CN=another");
    expect(() => server.setTls({ ...one, clientCa: ca.pem })).toThrow(/start it anew/);
    await using plain = new Server({ port: 0 });
    expect(() => plain.setTls(one)).toThrow(/made without tls/);
  });

  test("the CAs of clients are replaced too, also for who could resume TLS", async () => {
    const [mine, theirs] = [await ca.issue({ commonName: "mine" }), await Authority.create("next CA")];
    await using server = await started({ tls: { ...one, clientCa: ca.pem } });
    const answered = async (client: Issued, session?: Buffer): Promise<[boolean, Buffer | undefined]> => {
      const options = { ...client, maxVersion: "TLSv1.2", ...(session && { session }) } as const;
      const socket = await tlsClient(server.port, options).catch(() => undefined);
      if (socket === undefined) return [false, undefined];
      socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      const answer = once(socket, "data");
      const isIn = await Promise.race([answer.then(() => true), closeOf(socket).then(() => false)]);
      const ticket = socket.getSession();
      socket.destroy();
      return [isIn, ticket];
    };
    const [isIn, ticket] = await answered(mine);
    expect(isIn).toBe(true);
    server.setTls({ ...one, clientCa: `${ca.pem}\n${theirs.pem}` });
    const their = await theirs.issue();
    expect((await answered(mine))[0]).toBe(true);
    expect((await answered(their))[0]).toBe(true);
    server.setTls({ ...one, clientCa: theirs.pem });
    expect((await answered(mine))[0]).toBe(false);
    expect((await answered(mine, ticket))[0]).toBe(false);
    expect((await answered(their))[0]).toBe(true);
  });
});

test("close ends what has not finished TLS", async () => {
  const server = await started();
  const sockets = [connect(server.port, "127.0.0.1"), await tlsClient(server.port)];
  await expect.poll(() => server.stats().handshaking).toBe(2);
  const closed = sockets.map((socket) => closeOf(socket));
  await server.close();
  await Promise.all(closed);
});
