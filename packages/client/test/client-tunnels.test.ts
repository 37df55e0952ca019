import { once } from "node:events";
import { TunnelStream } from "@culvert/peer";
import type { ErrorCode, OpenRequest } from "@culvert/protocol";
import { describe, expect, it } from "vitest";
import { CONNECT, LISTEN } from "../src/mode.ts";
import type { StreamInfo } from "../src/tunnel-options.ts";
import { QUICK, watchedClient } from "./support/clients.ts";
import { refuse, ScriptedServer } from "./support/scripted-server.ts";
import { echoed, endOf, tcpTarget, visit } from "./support/visitors.ts";

/** The server opens a stream to the client; resolves with the stream when accepted, rejects when refused. */
function openFromServer(server: ScriptedServer, request: Omit<OpenRequest, "kind">): TunnelStream {
  const stream = new TunnelStream();
  stream.bind(server.session.link.openStream({ kind: "tcp", ...request }, stream));
  return stream;
}

async function refusalOf(stream: TunnelStream): Promise<ErrorCode> {
  const [error] = await once(stream, "error");
  return error.code;
}

describe("a CONNECT tunnel", () => {
  it("carries its visitors to the target that it names", async () => {
    const server = await ScriptedServer.start();
    const { client } = watchedClient({
      server: server.url,
      mode: CONNECT,
      listen: "127.0.0.1:0",
      connect: "SRV.:6789",
    });
    const opened: OpenRequest[] = [];
    const { onStream } = server;
    server.onStream = (incoming) => {
      opened.push(incoming.request);
      onStream(incoming);
    };
    await client.start();
    const visitor = visit(client.tunnels[0]?.address);
    expect(await echoed(visitor, "hello")).toBe("hello");
    expect(opened).toEqual([
      { kind: "tcp", target: "tcp://srv:6789", visitor: `tcp://127.0.0.1:${visitor.localPort}` },
    ]);
    expect(client.stats().tunnels).toMatchObject([
      { mode: "connect", state: "ready", stats: { visitors: 1, open: 1 } },
    ]);
  });

  it("resets a visitor whose target is refused", async () => {
    const server = await ScriptedServer.start();
    server.onStream = (incoming) => incoming.refuse("target_refused");
    const { client } = watchedClient({ server: server.url, mode: CONNECT, listen: "0", connect: "a:1" });
    await client.start();
    expect(await endOf(visit(client.tunnels[0]?.address))).toBe("ECONNRESET");
  });
});

describe("a CONNECT tunnel's visitors", () => {
  it("are as many as the session may have streams: the next is reset", async () => {
    const server = await ScriptedServer.start();
    const { client } = watchedClient({
      server: server.url,
      mode: CONNECT,
      listen: "0",
      connect: "a:1",
      session: { maxStreams: 1 },
    });
    await client.start();
    const [tunnel] = client.tunnels;
    expect(await echoed(visit(tunnel?.address), "first")).toBe("first");
    expect(await endOf(visit(tunnel?.address))).toBe("ECONNRESET");
    expect(tunnel?.stats()).toMatchObject({ visitors: 1 });
  });
});

describe("a LISTEN tunnel", () => {
  it("dials its target for each stream of the server", async () => {
    const { address } = await tcpTarget((socket) => socket.pipe(socket));
    const server = await ScriptedServer.start();
    const { client } = watchedClient({
      server: server.url,
      tunnels: [{ mode: LISTEN, listen: "80", connect: address, name: "web" }],
    });
    await client.start();
    const [asked] = server.session.tunnels;
    expect(asked).toMatchObject({ listen: "tcp://127.0.0.1:80", name: "web" });
    expect(client.tunnels[0]).toMatchObject({ state: "ready", address: "tcp://127.0.0.1:80" });
    const stream = openFromServer(server, { tunnelId: asked?.tunnelId as number });
    expect(await echoed(stream, "hello")).toBe("hello");
    stream.end();
    await once(stream.resume(), "end");
  });

  it("tells why its target cannot be reached", async () => {
    const { address, server: target } = await tcpTarget(() => undefined);
    target.close();
    const server = await ScriptedServer.start();
    const { client } = watchedClient({ server: server.url, mode: LISTEN, listen: "80", connect: address });
    await client.start();
    expect(await refusalOf(openFromServer(server, { tunnelId: 1 }))).toBe("target_refused");
  });

  it("may hand its streams to a callback", async () => {
    const server = await ScriptedServer.start();
    const infos: StreamInfo[] = [];
    const { client } = watchedClient({
      server: server.url,
      mode: LISTEN,
      listen: "80",
      connect: (stream, info) => {
        infos.push(info);
        stream.pipe(stream);
      },
    });
    await client.start();
    const stream = openFromServer(server, { tunnelId: 1, visitor: "tcp://10.0.0.1:5" });
    expect(await echoed(stream, "hello")).toBe("hello");
    expect(infos).toEqual([
      { visitor: "tcp://10.0.0.1:5", listen: "tcp://127.0.0.1:80", name: "tcp://127.0.0.1:80" },
    ]);
  });

  it("destroys the stream of a callback that throws or rejects, and serves the next", async () => {
    const server = await ScriptedServer.start();
    const callbacks = [
      () => {
        throw new Error("thrown");
      },
      () => Promise.reject(new Error("rejected")),
      (stream: TunnelStream) => void stream.pipe(stream),
    ];
    const { client } = watchedClient({
      server: server.url,
      mode: LISTEN,
      listen: "80",
      connect: (stream) => callbacks.shift()?.(stream),
    });
    await client.start();
    expect(await refusalOf(openFromServer(server, { tunnelId: 1 }))).toBe("internal_error");
    expect(await refusalOf(openFromServer(server, { tunnelId: 1 }))).toBe("internal_error");
    expect(await echoed(openFromServer(server, { tunnelId: 1 }), "hello")).toBe("hello");
  });

  it("that the server refuses is told, and asked for again until it works", async () => {
    const server = await ScriptedServer.start();
    const answers: (ErrorCode | undefined)[] = ["address_in_use", "bind_failed", undefined];
    server.onTunnel = (request) => {
      const code = answers.shift();
      if (code === undefined) request.ready(request.listen);
      else request.closed(code);
    };
    const { client } = watchedClient({ server: server.url, mode: LISTEN, listen: "80", connect: "a:1" });
    const told: string[] = [];
    const ready = new Promise<void>((resolve) => {
      client.on("tunnel", ({ event }) => {
        told.push(event.type === "failed" ? event.cause.code : event.type);
        if (event.type === "ready") resolve();
      });
    });
    await client.start();
    await ready;
    expect(told).toEqual(["address_in_use", "bind_failed", "ready"]);
  });

  it.each([
    ["0", "tcp://0.0.0.0:8022", "tcp://127.0.0.1:8022"],
    ["80", "tcp://203.0.113.9:81", "tcp://127.0.0.1:81"],
    ["localhost:0", "tcp://[::1]:8022", "tcp://localhost:8022"],
    ["unix:///run/a.sock", "unix:///run/b.sock", "unix:///run/a.sock"],
  ])(
    "at %s of a server that says %s listens at %s: only the port is the server's to say",
    async (listen, said, address) => {
      const server = await ScriptedServer.start();
      server.onTunnel = (request) => request.ready(said);
      const { client } = watchedClient({ server: server.url, mode: LISTEN, listen, connect: "a:1" });
      const told = new Promise((resolve) => client.on("tunnel", ({ event }) => resolve(event)));
      await client.start();
      expect(await told).toEqual({ type: "ready", address });
      expect(client.tunnels[0]?.address).toBe(address);
      // Another server is not asked for an address that this one made up.
      await server.stop();
      await server.listen();
      await server.until(() => server.sessions.length === 1 && server.session.tunnels.length === 1);
      const port = address.endsWith(":8022") ? 8022 : 80;
      const asked = listen.startsWith("unix") ? address : address.replace(/\d+$/, String(port));
      expect(server.session.tunnels[0]?.listen).toBe(asked);
    },
  );

  it.each([
    ["0", "tcp://127.0.0.1:0"],
    ["0", "tcp://127.0.0.1:70000"],
    ["0", "unix:///run/a.sock"],
    ["0", "culvert client connected to wss://forged"],
    ["unix:///run/a.sock", "tcp://127.0.0.1:80"],
  ])("at %s of a server that says %s fails, and ends the session", async (listen, said) => {
    const server = await ScriptedServer.start();
    server.onTunnel = (request) => request.ready(said);
    const { client, reaches, states } = watchedClient({
      server: server.url,
      mode: LISTEN,
      listen,
      connect: "a:1",
      retry: { ...QUICK, baseMs: 3_600_000, capMs: 3_600_000 },
    });
    const told = new Promise((resolve) => client.on("tunnel", ({ event }) => resolve(event)));
    const started = client.start();
    expect(await told).toMatchObject({
      type: "failed",
      cause: { code: "bad_address" },
      retryInMs: undefined,
    });
    const { link } = server.session;
    await reaches("connecting");
    expect(states.at(-1)?.cause?.code).toBe("bad_frame");
    await server.until(() => link.state === "ended");
    expect(client.tunnels[0]?.address).toBeUndefined();
    await started;
  });

  it("that the policy forbids is not asked for again on the same session", async () => {
    const server = await ScriptedServer.start();
    server.onTunnel = (request) => request.closed("forbidden");
    const { client } = watchedClient({ server: server.url, mode: LISTEN, listen: "80", connect: "a:1" });
    const failed = new Promise((resolve) => client.on("tunnel", ({ event }) => resolve(event)));
    await client.start();
    expect(await failed).toMatchObject({
      type: "failed",
      cause: { code: "forbidden" },
      retryInMs: undefined,
    });
  });

  it("whose listener stops by itself is asked for again", async () => {
    const server = await ScriptedServer.start();
    const { client } = watchedClient({ server: server.url, mode: LISTEN, listen: "80", connect: "a:1" });
    await client.start();
    server.session.tunnels[0]?.closed("listener_failed");
    await server.until(() => server.session.tunnels.length === 2);
    await expect.poll(() => client.tunnels[0]?.state).toBe("ready");
  });
});

describe("T27: a stream that the client did not offer", () => {
  it.each<[string, Omit<OpenRequest, "kind">, ErrorCode]>([
    ["to an unknown tunnel", { tunnelId: 99 }, "unknown_tunnel"],
    ["to a target", { target: "tcp://127.0.0.1:22" }, "not_accepted"],
    [
      "to a target under a tunnel that there is",
      { tunnelId: 1, target: "tcp://127.0.0.1:22" },
      "not_accepted",
    ],
    ["to nothing", {}, "not_accepted"],
  ])("%s is refused, and nothing is dialed", async (_what, request, code) => {
    let connections = 0;
    const { address } = await tcpTarget(() => {
      connections += 1;
    });
    const server = await ScriptedServer.start();
    const { client } = watchedClient({ server: server.url, mode: LISTEN, listen: "80", connect: address });
    await client.start();
    const target = request.target === undefined ? {} : { target: `tcp://${address}` };
    expect(await refusalOf(openFromServer(server, { ...request, ...target }))).toBe(code);
    expect(connections).toBe(0);
  });

  it("to a target is refused by whatever server it was sent to, and no server has it listen", async () => {
    let connections = 0;
    const { address } = await tcpTarget(() => {
      connections += 1;
    });
    const [home, hostile] = [await ScriptedServer.start(), await ScriptedServer.start()];
    home.answers.push(refuse({ code: "shutting_down", redirect: hostile.url }));
    const { client } = watchedClient({ server: home.url, mode: LISTEN, listen: "80", connect: "a:1" });
    await client.start();
    expect(hostile.session.tunnels[0]).toMatchObject({ listen: "tcp://127.0.0.1:80" });
    expect(await refusalOf(openFromServer(hostile, { target: `tcp://${address}` }))).toBe("not_accepted");
    const handler = { onReady: () => undefined, onClosed: () => undefined };
    const ask = () => hostile.session.link.requestTunnel("tcp://127.0.0.1:0", "x", handler);
    expect(ask).toThrow("the peer allows 0");
    expect(client.tunnels).toHaveLength(1);
    expect(connections).toBe(0);
  });
});

describe("tunnels of a running client", () => {
  it("open and close one by one; connections of a closed one go on", async () => {
    const server = await ScriptedServer.start();
    const { client } = watchedClient({ server: server.url });
    await client.start();
    const web = await client.openTunnel({ mode: CONNECT, listen: "0", connect: "a:1" });
    const ssh = await client.openTunnel({ mode: CONNECT, listen: "0", connect: "a:2" });
    const far = await client.openTunnel({ mode: LISTEN, listen: "80", connect: "a:3" });
    expect(client.tunnels).toEqual([web, ssh, far]);
    expect(far.address).toBe("tcp://127.0.0.1:80");
    const visitor = visit(web.address);
    await echoed(visitor, "before");
    const { address } = web;
    const closed = new Promise<void>((resolve) => web.on("closed", () => resolve()));
    await client.closeTunnel(web);
    await closed;
    await web.close();
    expect(web).toMatchObject({ state: "closed", address: undefined });
    expect(client.tunnels).toEqual([ssh, far]);
    expect(await endOf(visit(address))).toBe("ECONNREFUSED");
    expect(await echoed(visitor, "after")).toBe("after");
    expect(await echoed(visit(ssh.address), "other")).toBe("other");
    await far.close();
    await server.until(() => server.session.tunnels[0]?.onClose !== undefined);
    expect(await refusalOf(openFromServer(server, { tunnelId: 1 }))).toBe("unknown_tunnel");
  });

  it("are the same when they say the same", async () => {
    const server = await ScriptedServer.start();
    const callback = (): void => undefined;
    const { client } = watchedClient({
      server: server.url,
      tunnels: [
        { mode: LISTEN, listen: "80", connect: callback },
        { mode: LISTEN, listen: "127.0.0.1:80", connect: callback },
      ],
    });
    await client.start();
    expect(client.tunnels).toHaveLength(1);
    const [first, second] = await Promise.all([
      client.openTunnel({ mode: CONNECT, listen: "0", connect: "a:1" }),
      client.openTunnel({ mode: CONNECT, listen: "tcp://127.0.0.1:0", connect: "A:1", name: "other" }),
    ]);
    expect(second).toBe(first);
    expect(await client.openTunnel({ mode: LISTEN, listen: "80", connect: callback })).toBe(
      client.tunnels[0],
    );
    await first.close();
    expect(await client.openTunnel({ mode: CONNECT, listen: "0", connect: "a:1" })).not.toBe(first);
  });

  it("need a client that runs, and an address that is free", async () => {
    const { address: taken } = await tcpTarget(() => undefined);
    const server = await ScriptedServer.start();
    const { client } = watchedClient({ server: server.url });
    const web = { mode: CONNECT, listen: "0", connect: "a:1" } as const;
    await expect(client.openTunnel(web)).rejects.toMatchObject({ code: "not_running" });
    await client.start();
    await expect(client.openTunnel({ ...web, listen: taken })).rejects.toMatchObject({
      code: "listen_failed",
      cause: { code: "address_in_use" },
    });
    expect(client.tunnels).toHaveLength(0);
    await expect(client.openTunnel({ ...web, connect: "a" })).rejects.toMatchObject({ code: "bad_address" });
    server.onTunnel = () => undefined;
    const unanswered = client.openTunnel({ mode: LISTEN, listen: "80", connect: "a:1" });
    const failed = expect(unanswered).rejects.toMatchObject({ code: "not_running" });
    await server.until(() => server.session.tunnels.length === 1);
    await client.close({ drainMs: 0 });
    await failed;
  });
});

describe("dial", () => {
  it("gives a stream to a target behind the server, without any listener", async () => {
    const server = await ScriptedServer.start();
    const { client } = watchedClient({ server: server.url });
    await client.start();
    const stream = client.dial("[::1]:80");
    expect(stream).toBeInstanceOf(TunnelStream);
    expect(await echoed(stream, "hello")).toBe("hello");
  });

  it("tells why it cannot", async () => {
    const server = await ScriptedServer.start();
    server.onStream = (incoming) => incoming.refuse("target_timeout");
    const { client, reaches } = watchedClient({ server: server.url, session: { graceMs: 20 }, retry: QUICK });
    expect(() => client.dial("a:1")).toThrow(expect.objectContaining({ code: "not_running" }));
    await client.start();
    expect(() => client.dial("a:0")).toThrow(expect.objectContaining({ code: "bad_address" }));
    expect(await refusalOf(client.dial("a:1"))).toBe("target_timeout");
    await server.hide();
    await reaches("connecting");
    expect(await refusalOf(client.dial("a:1"))).toBe("connect_failed");
  });
});
