import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { CONNECT, LISTEN } from "../src/mode.ts";
import { QUICK, watchedClient } from "./support/clients.ts";
import { refuse, ScriptedServer } from "./support/scripted-server.ts";
import { echoed, endOf, visit } from "./support/visitors.ts";

const NEVER = { baseMs: 3_600_000, capMs: 3_600_000, resumableCapMs: 3_600_000 };

describe("a lost transport", () => {
  it("is followed by a resume at once, with a proof and a higher attempt, and streams go on", async () => {
    const server = await ScriptedServer.start();
    const { client, states, reaches } = watchedClient({ server: server.url });
    await client.start();
    const stream = client.dial("a:1");
    expect(await echoed(stream, "before")).toBe("before");
    for (const text of ["after one", "after two"]) {
      server.cut();
      await reaches("detached");
      await reaches("open");
      expect(await echoed(stream, text)).toBe(text);
    }
    expect(server.sessions).toHaveLength(1);
    const resumes = server.arrivals.slice(1).map(({ hello }) => hello.resume);
    expect(resumes.map((resume) => resume?.session)).toEqual([server.session.id, server.session.id]);
    expect(resumes.map((resume) => resume?.attempt)).toEqual([2, 3]);
    expect(states.filter(({ current }) => current === "detached").map(({ cause }) => cause?.code)).toEqual([
      "transport_closed",
      "transport_closed",
    ]);
    expect(client.stats()).toMatchObject({ dials: 3, sessions: 1, session: { link: { resumes: 2 } } });
  });

  it("lets visitors wait", async () => {
    const server = await ScriptedServer.start();
    const { client, reaches } = watchedClient({
      server: server.url,
      mode: CONNECT,
      listen: "0",
      connect: "a:1",
    });
    await client.start();
    await server.hide();
    await reaches("detached");
    const visitor = visit(client.tunnels[0]?.address);
    const answer = echoed(visitor, "patience");
    await once(visitor, "connect");
    await server.listen();
    expect(await answer).toBe("patience");
  });

  it("lets a dial wait, and other servers are left alone as long as the session can be resumed", async () => {
    const server = await ScriptedServer.start();
    const other = await ScriptedServer.start();
    const { client, reaches } = watchedClient({ server: [server.url, other.url] });
    await client.start();
    await server.hide();
    await reaches("detached");
    const answer = echoed(client.dial("a:1"), "patience");
    await expect.poll(() => client.stats().dials).toBeGreaterThan(4);
    await server.listen();
    expect(await answer).toBe("patience");
    expect(other.arrivals).toHaveLength(0);
  });

  it("is followed by a new session elsewhere after a while: a server that is gone costs the session, not the client", async () => {
    const server = await ScriptedServer.start();
    const other = await ScriptedServer.start();
    const { client, reaches, states } = watchedClient({
      server: [server.url, other.url],
      retry: { ...QUICK, stickyMs: 30 },
    });
    await client.start();
    // It does not last: the client may be elsewhere before the server has said that it is gone.
    const detached = reaches("detached");
    await server.stop();
    await detached;
    await reaches("open");
    expect(client.stats().session?.server).toBe(other.url);
    // Who is shown the proof of a resume can use it, so no other server ever sees one.
    expect(other.arrivals.map(({ hello }) => hello.resume)).toEqual([undefined]);
    expect(states.map(({ current, cause }) => [current, cause?.code])).toEqual([
      ["connecting", undefined],
      ["open", undefined],
      ["detached", "transport_closed"],
      ["connecting", "session_lost"],
      ["open", undefined],
    ]);
  });

  it("shows the proof of a resume to no other server, and keeps the session while that one gives no new one", async () => {
    const server = await ScriptedServer.start();
    const other = await ScriptedServer.start();
    for (let i = 0; i < 3; i += 1) other.answers.push(refuse({ code: "session_limit" }));
    const { client, reaches } = watchedClient({
      server: [server.url, other.url],
      retry: { ...QUICK, stickyMs: 0 },
    });
    await client.start();
    const stream = client.dial("a:1");
    await echoed(stream, "before");
    await server.hide();
    await reaches("detached");
    await other.until(() => other.arrivals.length === 3);
    await server.listen();
    expect(await echoed(stream, "after")).toBe("after");
    expect(client.stats()).toMatchObject({ sessions: 1, session: { server: server.url } });
    expect(other.arrivals.flatMap(({ hello }) => hello.resume ?? [])).toEqual([]);
  });

  it("is resumed at the server that a redirect led to", async () => {
    const [here, there] = [await ScriptedServer.start(), await ScriptedServer.start()];
    here.answers.push(refuse({ code: "session_limit", redirect: there.url }));
    const { client, reaches } = watchedClient({ server: here.url });
    await client.start();
    there.cut();
    await reaches("detached");
    await reaches("open");
    expect(there.arrivals.map(({ hello }) => hello.resume?.session)).toEqual([undefined, there.session.id]);
    expect(here.arrivals).toHaveLength(1);
  });

  it("is not resumed where a redirect leads to: the session is lost there", async () => {
    const [here, there] = [await ScriptedServer.start(), await ScriptedServer.start()];
    const { client, reaches, states } = watchedClient({ server: here.url });
    await client.start();
    here.answers.push(refuse({ code: "shutting_down", redirect: there.url }));
    here.cut();
    await reaches("detached");
    await reaches("open");
    expect(client.stats().session?.server).toBe(there.url);
    expect(there.arrivals.map(({ hello }) => hello.resume)).toEqual([undefined]);
    expect(states.at(-2)?.cause?.code).toBe("session_lost");
  });

  it("is told to a function that names servers", async () => {
    const server = await ScriptedServer.start();
    const resuming: (string | undefined)[] = [];
    const { client, reaches } = watchedClient({
      server: (info) => {
        resuming.push(info.resuming);
        return server.url;
      },
    });
    await client.start();
    server.cut();
    await reaches("detached");
    await reaches("open");
    expect(resuming).toEqual([undefined, server.url]);
  });
});

describe("a lost session", () => {
  it("is followed by a new one at once: streams are reset, tunnels come back", async () => {
    const server = await ScriptedServer.start();
    const { client, states, reaches } = watchedClient({
      server: server.url,
      random: () => 0,
      tunnels: [
        { mode: CONNECT, listen: "0", connect: "a:1" },
        { mode: LISTEN, listen: "0.0.0.0:8080", connect: "a:2" },
      ],
    });
    await client.start();
    const [local, remote] = client.tunnels;
    const address = local?.address;
    const visitor = visit(address);
    await echoed(visitor, "before");
    const ended = endOf(visitor);
    await server.stop();
    await server.listen(); // as after kill -9 and a new start
    await reaches("connecting");
    expect(await ended).toBe("ECONNRESET");
    await reaches("open");
    expect(states.at(-2)?.cause).toMatchObject({ code: "session_lost", cause: { code: "session_unknown" } });
    await server.until(() => server.session.tunnels.length === 1);
    expect(server.session.tunnels[0]).toMatchObject({ listen: "tcp://0.0.0.0:8080" });
    expect(local?.address).toBe(address);
    expect(await echoed(visit(address), "after")).toBe("after");
    await expect.poll(() => remote?.state).toBe("ready");
    expect(client.stats()).toMatchObject({ sessions: 2 });
    const hellos = server.arrivals.map(({ hello }) => hello);
    expect(new Set(hellos.map(({ instance }) => instance)).size).toBe(1);
    expect(hellos.map(({ resume }) => resume === undefined)).toEqual([true, false, true]);
  });

  it.each(["session_expired", "replay_gap"] as const)("may also be called %s", async (code) => {
    const server = await ScriptedServer.start();
    const { client, reaches } = watchedClient({ server: server.url, retry: { ...NEVER } });
    await client.start();
    server.answers.push(refuse({ code }));
    server.cut();
    await reaches("connecting");
    await reaches("open");
    expect(server.sessions).toHaveLength(2);
  });

  it("is what a WELCOME that claims too much means", async () => {
    const server = await ScriptedServer.start();
    const { client, reaches, states } = watchedClient({ server: server.url, retry: NEVER });
    await client.start();
    server.answers.push((arrival) =>
      server.welcome(arrival, { session: server.session.id, received: 1_000_000 }),
    );
    server.cut();
    await reaches("connecting");
    await reaches("open");
    expect(states.find(({ cause }) => cause?.code === "session_lost")?.cause?.cause).toMatchObject({
      code: "replay_gap",
    });
  });

  it("after the grace resets visitors at once, and its listeners stay", async () => {
    const server = await ScriptedServer.start({ graceMs: 40 });
    const { client, reaches, states } = watchedClient({
      server: server.url,
      mode: CONNECT,
      listen: "0",
      connect: "a:1",
    });
    await client.start();
    const address = client.tunnels[0]?.address;
    await server.stop();
    await reaches("connecting");
    expect(states.at(-1)?.cause?.code).toBe("session_expired");
    const visitor = visit(address);
    await new Promise((resolve) => visitor.once("close", resolve));
    expect(client.tunnels[0]?.state).toBe("ready");
    await server.listen();
    await reaches("open");
    expect(await echoed(visit(address), "again")).toBe("again");
  });

  it("may have a shorter grace here than there", async () => {
    const server = await ScriptedServer.start();
    const { client, reaches, states } = watchedClient({ server: server.url, session: { graceMs: 30 } });
    await client.start();
    await server.hide();
    await reaches("connecting");
    expect(states.at(-1)?.cause?.code).toBe("session_expired");
  });

  it("ended by the server is made anew", async () => {
    const server = await ScriptedServer.start();
    const { client, reaches, states } = watchedClient({ server: server.url });
    await client.start();
    server.session.link.close("shutting_down");
    await reaches("connecting");
    expect(states.at(-1)?.cause?.code).toBe("shutting_down");
    await reaches("open");
    expect(server.sessions).toHaveLength(2);
  });

  it.each(["address_in_use", "listener_held", "forbidden"] as const)(
    "a port of 0 asks for the port that it had, and takes another one if that is %s",
    async (code) => {
      const server = await ScriptedServer.start();
      let next = 40_001;
      server.onTunnel = (request) => {
        request.ready(request.listen.endsWith(":0") ? `tcp://127.0.0.1:${next++}` : request.listen);
      };
      const { client, reaches } = watchedClient({
        server: server.url,
        mode: LISTEN,
        listen: "0",
        connect: "a:1",
      });
      await client.start();
      const [tunnel] = client.tunnels;
      expect(tunnel?.address).toBe("tcp://127.0.0.1:40001");
      await server.stop();
      await server.listen();
      await reaches("connecting");
      await expect.poll(() => tunnel?.address).toBe("tcp://127.0.0.1:40001");
      expect(server.session.tunnels.map(({ listen }) => listen)).toEqual(["tcp://127.0.0.1:40001"]);

      const onTunnel = server.onTunnel;
      server.onTunnel = (request) =>
        request.listen.endsWith(":0") ? onTunnel(request) : request.closed(code);
      await server.stop();
      await server.listen();
      await reaches("connecting");
      await expect.poll(() => tunnel?.address).toBe("tcp://127.0.0.1:40002");
      expect(server.session.tunnels.map(({ listen }) => listen)).toEqual([
        "tcp://127.0.0.1:40001",
        "tcp://127.0.0.1:0",
      ]);
    },
  );
});

describe("a client that is displaced or revoked", () => {
  it.each(["displaced", "revoked"] as const)("and told %s stops for good", async (code) => {
    const server = await ScriptedServer.start();
    const { client } = watchedClient({ server: server.url, mode: CONNECT, listen: "0", connect: "a:1" });
    await client.start();
    const [tunnel] = client.tunnels;
    server.session.link.close(code);
    expect(await client.closed).toMatchObject({ code });
    expect(client.state).toBe("closed");
    expect(tunnel?.state).toBe("closed");
    expect(server.arrivals).toHaveLength(1);
  });

  it("that learns it when it comes back stops too, also with other servers in its list", async () => {
    const server = await ScriptedServer.start();
    const other = await ScriptedServer.start();
    const { client } = watchedClient({ server: [server.url, other.url] });
    await client.start();
    const stream = client.dial("a:1");
    await echoed(stream, "before");
    const broken = once(stream, "error");
    server.answers.push(refuse({ code: "displaced" }));
    server.cut();
    expect(await client.closed).toMatchObject({ code: "displaced" });
    expect(await broken).toMatchObject([{ code: "displaced" }]);
    expect(other.arrivals).toHaveLength(0);
  });
});

describe("after a session the refusal", () => {
  it("401 ends the client, and 404 does not: a gateway says that while its server is replaced", async () => {
    const server = await ScriptedServer.start();
    const { client, reaches } = watchedClient({ server: server.url });
    await client.start();
    await server.hide();
    await reaches("detached");
    const { createServer } = await import("node:http");
    let status = 404;
    let requests = 0;
    const gateway = createServer({ shouldUpgradeCallback: () => false }, (_request, response) => {
      requests += 1;
      if (requests === 3) status = 401;
      response.writeHead(status).end();
    });
    gateway.listen(server.port, "127.0.0.1");
    expect(await client.closed).toMatchObject({ code: "unauthorized" });
    expect(requests).toBe(3);
    gateway.close();
  });
});

describe("close", () => {
  it("says so to the server, and a stream may finish before", async () => {
    const server = await ScriptedServer.start();
    const { client } = watchedClient({ server: server.url });
    await client.start();
    const stream = client.dial("a:1");
    await echoed(stream, "one");
    const closing = client.close({ drainMs: 10_000 });
    await server.until(() => server.session.link.isDraining);
    expect(await echoed(stream, "two")).toBe("two");
    expect(() => client.dial("a:1")).toThrow(expect.objectContaining({ code: "not_running" }));
    const finished = once(stream, "close");
    stream.end();
    await finished;
    await closing;
    expect(server.session.link.state).toBe("ended");
    expect(client.state).toBe("closed");
  });

  it("resets what is not done after drainMs", async () => {
    const server = await ScriptedServer.start();
    const { client } = watchedClient({ server: server.url });
    await client.start();
    const stream = client.dial("a:1");
    await echoed(stream, "one");
    const broken = once(stream, "error");
    await client.close({ drainMs: 10 });
    expect(await broken).toMatchObject([{ code: "closed" }]);
    expect(server.session.link.state).toBe("ended");
  });

  it.each([
    ["right after the loss", 1],
    ["in the middle of a long wait", 2],
  ])("while detached, %s, attaches once more to say so", async (_when, dials) => {
    const server = await ScriptedServer.start();
    const { client, reaches } = watchedClient({ server: server.url, retry: NEVER, random: () => 0.9 });
    await client.start();
    const { link } = server.session;
    await server.hide();
    await reaches("detached");
    await expect.poll(() => client.stats().dials).toBeGreaterThanOrEqual(dials);
    await server.listen();
    await client.close();
    await server.until(() => link.state === "ended");
    expect(server.arrivals.at(-1)?.hello.resume?.session).toBe(server.session.id);
    expect(client.state).toBe("closed");
  });

  it("while detached does not make a session elsewhere", async () => {
    const server = await ScriptedServer.start();
    const other = await ScriptedServer.start();
    const { client, reaches } = watchedClient({
      server: [server.url, other.url],
      retry: { ...NEVER, stickyMs: 0 },
      random: () => 0.9,
    });
    await client.start();
    const { link } = server.session;
    await server.hide();
    await reaches("detached");
    await expect.poll(() => client.stats().dials).toBeGreaterThanOrEqual(2);
    await client.close();
    expect(other.arrivals).toEqual([]);
    expect(link.state).toBe("detached");
  });

  it("while detached from a server that is gone ends after a moment", async () => {
    const server = await ScriptedServer.start();
    const { client, reaches } = watchedClient({ server: server.url });
    await client.start();
    await server.stop();
    await reaches("detached");
    await client.close();
    expect(client.state).toBe("closed");
    expect(await client.closed).toBeUndefined();
  });

  it("twice is the same", async () => {
    const server = await ScriptedServer.start();
    const { client, states } = watchedClient({ server: server.url });
    await client.close();
    await client.start();
    await Promise.all([client.close(), client.close({ drainMs: 0 }), client[Symbol.asyncDispose]()]);
    await client.close();
    expect(states.filter(({ current }) => current === "closed")).toHaveLength(1);
  });

  it("from a listener of the state is safe", async () => {
    const server = await ScriptedServer.start();
    const { client } = watchedClient({ server: server.url });
    client.on("state", ({ current }) => {
      if (current === "connecting") void client.close();
    });
    await expect(client.start()).rejects.toMatchObject({ code: "aborted" });
    expect(client.state).toBe("closed");
  });
});

it("notes go both ways", async () => {
  const server = await ScriptedServer.start();
  const { client } = watchedClient({ server: server.url });
  expect(() => client.note("early")).toThrow(expect.objectContaining({ code: "not_running" }));
  await client.start();
  const heard = new Promise((resolve) => client.on("note", ({ text }) => resolve(text)));
  client.note("hello there");
  server.session.link.note("hello yourself");
  await server.until(() => server.notes.length > 0);
  expect(server.notes).toEqual(["hello there"]);
  expect(await heard).toBe("hello yourself");
});
