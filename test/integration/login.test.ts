import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server as NetServer, type Socket } from "node:net";
import { Client, type ClientOptions, newLoginKey } from "@culvert/client";
import { newToken, Server } from "@culvert/server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { refuse, ScriptedServer } from "../../packages/client/test/support/scripted-server.ts";
import { usersOf } from "../../packages/server/test/support/users.ts";
import { until } from "../support/deadline.ts";
import { LogRecorder } from "../support/log-recorder.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { QUICK_RETRY, TunnelFixture, urlOf } from "../support/tunnel-fixture.ts";

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

const { pem, publicText } = newLoginKey();
const users = usersOf({ alice: { keys: [publicText] } });

/** The way leads through a proxy, whose address is not the server's: it has to know under which name it is dialed. */
async function throughProxy(seed: number): Promise<TunnelFixture> {
  const name = "tunnel.example:9000";
  const fixture: TunnelFixture = await TunnelFixture.prepare({
    server: { users, publicNames: [name] },
    client: {
      server: `ws://${name}/`,
      key: pem,
      connector: () => connect(fixture.proxy.port, "127.0.0.1"),
    },
    seed,
  });
  return fixture;
}

describe("a login by key", () => {
  it("opens a session, and every later transport of it logs in anew", async () => {
    await using fixture = await throughProxy(1);
    const { client, server, proxy } = fixture;
    await client.start();
    await until(() => client.stats().session?.link.rttMs !== undefined, "the session is proven");
    for (let round = 1; round <= 3; round += 1) {
      proxy.cut({ how: "rst" });
      await until(() => client.stats().session?.link.resumes === round, "it was resumed");
    }
    expect(server.sessions()).toMatchObject([
      { owner: "user:alice", credential: publicText.replace("ed25519:", "key:") },
    ]);
    expect(client.stats()).toMatchObject({ dials: 4, sessions: 1 });
    expect(server.stats()).toMatchObject({ transports: 4, refused: 4 });
  });

  it("goes on however often one of the two requests is cut, wherever", async () => {
    await using fixture = await throughProxy(3);
    const { client, server, proxy, states } = fixture;
    await client.start();
    await until(() => client.stats().session?.link.rttMs !== undefined, "the session is proven");
    let cuts = 0;
    for (let n = 0; n < 24; n += 1) {
      const before = client.stats().session?.link.resumes ?? 0;
      // The first connection carries a request and its 401, the second one the login, 101, HELLO, WELCOME and what follows.
      const isFirst = n < 10;
      if (!isFirst) proxy.cutAfter({ bytes: 1e9, direction: "up", how: "fin" });
      proxy.cutAfter({
        bytes: isFirst ? 17 + n * 31 : 17 + (n - 10) * 67,
        direction: n % 2 === 0 ? "up" : "down",
        how: n % 3 === 0 ? "fin" : "rst",
      });
      const { fin, rst } = proxy.stats().cuts;
      proxy.cut({ how: "rst" });
      await until(() => (client.stats().session?.link.resumes ?? 0) > before, "it was resumed");
      await states.reaches("open");
      const now = proxy.stats().cuts;
      cuts += now.fin + now.rst - fin - rst - 1;
      proxy.cancelCuts();
    }
    expect(cuts).toBeGreaterThanOrEqual(15);
    expect(client.stats().sessions).toBe(1);
    expect(server.sessions()).toMatchObject([{ owner: "user:alice" }]);
    // Each half of it was refused for want of a login, and never for a wrong one.
    const whys = fixture.serverLog.lines.flatMap((line) => ("why" in line ? [line.why] : []));
    expect(new Set(whys)).toEqual(new Set(["no credentials"]));
  });

  it("opens a session at the one of several servers that knows the key, and where a redirect leads to", async () => {
    await using foreign = new Server({ port: 0, users: usersOf({}), drainMs: 0 });
    await using first = new Server({ port: 0, users, drainMs: 0 });
    await Promise.all([foreign.start(), first.start()]);
    await using client = clientOf({ server: [urlOf(foreign), urlOf(first)], key: pem });
    await client.start();
    expect(first.sessions()).toMatchObject([{ owner: "user:alice" }]);

    const elsewhere = await ScriptedServer.start();
    elsewhere.answers.push(refuse({ code: "session_limit", redirect: urlOf(first) }));
    await using sent = clientOf({ server: elsewhere.url, key: pem, name: "sent" });
    await sent.start();
    expect(first.sessions()).toMatchObject([{ owner: "user:alice" }, { owner: "user:alice", name: "sent" }]);
    expect(elsewhere.arrivals).toHaveLength(1);
    expect(elsewhere.arrivals[0]?.headers.authorization).toBeUndefined();
    await elsewhere.stop();
  });

  it("a server that is another one at the second request does not end the client, and is not failed at", async () => {
    const publicNames = ["tunnel.example"];
    await using before = new Server({ port: 0, users, publicNames, drainMs: 0 });
    await using after = new Server({ port: 0, users, publicNames, drainMs: 0 });
    await Promise.all([before.start(), after.start()]);
    let dials = 0;
    await using client = clientOf({
      server: "ws://tunnel.example/",
      key: pem,
      connector: () => {
        dials += 1;
        // In four attempts, which would be enough failures to be kept out.
        const to = dials < 8 && dials % 2 === 1 ? before : after;
        return connect(to.address?.port ?? 0, "127.0.0.1");
      },
    });
    await client.start();
    expect(after.sessions()).toMatchObject([{ owner: "user:alice" }]);
    expect(dials).toBe(10);
  });

  it("T4: what a proxy recorded of it opens nothing", async () => {
    await using server = new Server({ port: 0, users, drainMs: 0 });
    await server.start();
    await using recorder = await Recorder.start(server.address?.port ?? 0);
    const publicNames = [`127.0.0.1:${recorder.port}`];
    await using named = new Server({ port: 0, users, publicNames, drainMs: 0 });
    await named.start();
    recorder.target = named.address?.port ?? 0;
    await using client = clientOf({ server: `ws://127.0.0.1:${recorder.port}/`, key: pem });
    await client.start();
    expect(named.sessions()).toHaveLength(1);
    // All of it: the request that was let in, and the HELLO behind it.
    for (const bytes of recorder.recorded) {
      const socket = connect(named.address?.port ?? 0, "127.0.0.1");
      socket.write(bytes);
      const [answer] = (await once(socket, "data")) as [Buffer];
      expect(answer.toString("latin1")).toMatch(/^HTTP\/1\.1 401 /);
      socket.destroy();
    }
    expect(recorder.recorded).toHaveLength(2);
    expect(named.sessions()).toHaveLength(1);
  });

  it("a key that the server does not know ends the client at once, with a sentence", async () => {
    await using server = new Server({ port: 0, users, drainMs: 0 });
    await server.start();
    await using client = clientOf({ server: urlOf(server), key: newLoginKey().pem });
    await expect(client.start()).rejects.toMatchObject({
      code: "unauthorized",
      message: expect.stringContaining("does it know the key"),
    });
    expect(server.stats()).toMatchObject({ refused: 2, sessions: 0 });
  });

  it("a server with a token only says that it takes none", async () => {
    await using server = new Server({ port: 0, token: "a-token-of-enough-length", drainMs: 0 });
    await server.start();
    await using client = clientOf({ server: urlOf(server), key: pem });
    await expect(client.start()).rejects.toMatchObject({
      message: expect.stringContaining("no login by key"),
    });
  });
});

it("F48: a token that was exchanged counts at the next dial, and the session goes on", async () => {
  const [former, latter] = [newToken(), newToken()];
  let token = former.text;
  const both = usersOf({ alice: { tokens: [former.digest, latter.digest] } });
  await using fixture = await TunnelFixture.start({
    server: { users: both },
    client: { token: () => token },
    seed: 2,
  });
  const { client, server, proxy } = fixture;
  token = latter.text;
  proxy.cut({ how: "rst" });
  await until(() => client.stats().session?.link.resumes === 1, "it was resumed");
  expect(server.sessions()).toMatchObject([{ credential: `token:${latter.digest.slice(0, 8)}` }]);
  expect(client.stats().sessions).toBe(1);
});

it("T5: no secret is in any line of either log, however much went wrong", async () => {
  const alices = newToken();
  const stranger = newToken();
  const foreign = newLoginKey();
  const log = new LogRecorder();
  const all = usersOf({ alice: { tokens: [alices.digest], keys: [publicText] } });
  const shared = "a-shared-token-of-enough-length";
  await using server = new Server({
    ...{ port: 0, users: all, token: shared, logger: log.logger, drainMs: 0 },
    authenticate: () => {
      throw new Error("the directory is down");
    },
  });
  await server.start();
  const credentials: Partial<ClientOptions>[] = [
    ...[alices.text, stranger.text, `${alices.text.slice(0, -2)}xx`, shared].map((token) => ({ token })),
    { key: pem },
    { key: foreign.pem },
    { headers: { Authorization: `Basic ${stranger.text}` } },
  ];
  for (const credential of credentials) {
    await using client = clientOf({ server: urlOf(server), logger: log.logger, ...credential });
    await client.start().catch((error: unknown) => log.logger.info({ error: String(error) }, "no"));
  }
  expect(log.lines.length).toBeGreaterThan(20);
  const text = JSON.stringify(log.lines);
  const secrets = [alices.text, stranger.text, shared, pem, foreign.pem]
    .flatMap((secret) => [secret, secret.split("\n")[1] ?? secret])
    .concat(alices.text.slice(17, 50), stranger.text.slice(17, 50));
  for (const secret of secrets) expect(text).not.toContain(secret);
});

function clientOf(options: ClientOptions): Client {
  return new Client({ name: "login", retry: QUICK_RETRY, drainMs: 0, ...options });
}

/** A proxy that passes everything on as it is, and keeps what clients say, connection by connection. */
class Recorder {
  readonly recorded: Buffer[] = [];
  target: number;
  readonly #server: NetServer;

  private constructor(server: NetServer, target: number) {
    this.#server = server;
    this.target = target;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  static async start(target: number): Promise<Recorder> {
    const server = createServer((socket) => recorder.#pass(socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const recorder: Recorder = new Recorder(server, target);
    return recorder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await once(this.#server, "close");
  }

  #pass(socket: Socket): void {
    const onward = connect(this.target, "127.0.0.1");
    const index = this.recorded.push(Buffer.alloc(0)) - 1;
    socket.on("data", (bytes: Buffer) => {
      this.recorded[index] = Buffer.concat([this.recorded[index] as Buffer, bytes]);
    });
    socket.pipe(onward).pipe(socket);
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      one.on("error", () => undefined);
      one.once("close", () => other.destroy());
    }
  }
}
