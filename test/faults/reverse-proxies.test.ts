import { ChaosProxy } from "@culvert/chaos";
import { Client, type ClientOptions, CONNECT } from "@culvert/client";
import { Server } from "@culvert/server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { need } from "../e2e/support/needed-programs.ts";
import { Authority, pinOf } from "../support/authority.ts";
import { soon, until } from "../support/deadline.ts";
import { freeAddress, freePort } from "../support/free-port.ts";
import { LogRecorder } from "../support/log-recorder.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { SeededSink } from "../support/seeded-sink.ts";
import { SeededSource } from "../support/seeded-source.ts";
import { Service } from "../support/service.ts";
import { StateWatch } from "../support/state-watch.ts";
import { MODES } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";
import {
  IDLE_CUT_MS,
  REVERSE_PROXIES,
  ReverseProxy,
  type ReverseProxyKind,
} from "./support/reverse-proxy.ts";
import { IS_FULL_LENGTH } from "./support/scale.ts";

const MEGABYTE = 1024 * 1024;
/** A server behind a proxy has a token, as docs/operations.md says. */
const token = "a-token-of-at-least-sixteen";
/** So often is an idle link cut that is not kept alive, while one that is stands: 60 s, or ten minutes. */
const CUTS = IS_FULL_LENGTH ? 40 : 4;

// The tests wait side by side, so what is left over can only be looked for when all are done.
let handles: OpenHandles;
beforeAll(() => {
  handles = new OpenHandles();
});
afterAll(() => handles.gone());

interface Rig extends AsyncDisposable {
  readonly proxy: ReverseProxy;
  /** Between the proxy and the server. */
  readonly wire: ChaosProxy;
  readonly server: Server;
  readonly client: Client;
  readonly states: StateWatch;
  readonly log: LogRecorder;
  /** Sends back what comes; there is a tunnel to it in each mode. */
  readonly service: Service;
}

/** A server and a client with defaults (but for what is given), with a proxy between them and a tunnel of each mode. */
async function rig(kind: ReverseProxyKind, session: ClientOptions["session"] = {}): Promise<Rig> {
  const service = await Service.echo();
  const server = new Server({ port: 0, path: "/tunnel", token, drainMs: 0, session });
  await server.start();
  const target = { host: "127.0.0.1", port: server.address?.port ?? 0 };
  const wire = await ChaosProxy.start({ target, port: await freePort() });
  const proxy = await ReverseProxy.start(kind, wire.port);
  const listens = await Promise.all(MODES.map(async (mode) => [mode, await freeAddress()] as const));
  const log = new LogRecorder();
  const client = new Client({
    server: `ws://127.0.0.1:${proxy.port}/tunnel`,
    token,
    drainMs: 0,
    session,
    logger: log.logger,
    tunnels: listens.map(([mode, listen]) => ({ mode, listen, connect: service.address })),
  });
  const states = new StateWatch(client);
  await client.start();
  const close = async (): Promise<void> => {
    await client.close();
    await proxy[Symbol.asyncDispose]();
    await wire.close();
    await server.close();
    await service[Symbol.asyncDispose]();
  };
  return { proxy, wire, server, client, states, log, service, [Symbol.asyncDispose]: close };
}

describe.concurrent.each(REVERSE_PROXIES)("behind %s", (kind) => {
  it("defaults outlive its idle cut of 15 s, which ends a link that is not kept alive", {
    timeout: (CUTS + 2) * IDLE_CUT_MS + 60_000,
  }, async (context) => {
    need(context, kind);
    await using kept = await rig(kind);
    // The same without keepalive is the clock of this test, and the proof that the cut exists.
    const never = { pingIntervalMs: 3_600_000, silenceMs: 7_200_000 };
    await using neglected = await rig(kind, never);
    const visitors = await Promise.all(kept.client.tunnels.map(({ address }) => WireEnd.connect(address)));
    for (const visitor of visitors) expect(await visitor.ask("before")).toBe("before");
    const cuts = (): number => neglected.states.causes("detached").length;
    await until(() => cuts() >= CUTS, `${CUTS} cuts`, (CUTS + 2) * IDLE_CUT_MS);
    expect(kept.states.path).toEqual(["connecting", "open"]);
    expect(kept.client.stats()).toMatchObject({ dials: 1, sessions: 1 });
    for (const visitor of visitors) {
      expect(await visitor.ask("after")).toBe("after");
      visitor.socket.end();
      expect(await visitor.closed()).toBe("end");
    }
    // And the one that was cut went on each time.
    expect(neglected.client.stats().sessions).toBe(1);
  });

  it("a transfer both ways arrives whole, although the proxy is killed and started again", {
    timeout: 120_000,
  }, async (context) => {
    need(context, kind);
    await using behind = await rig(kind);
    const { client, proxy, states } = behind;
    const transfers = await Promise.all(
      client.tunnels.map(async ({ address }, n) => {
        const { socket } = await WireEnd.connect(address);
        return { sink: new SeededSink(socket, n), source: new SeededSource(socket, n) };
      }),
    );
    for (let restarts = 1; restarts <= 3; restarts += 1) {
      const enough = restarts * 4 * MEGABYTE;
      await until(() => transfers.every(({ sink }) => sink.received > enough), "the transfers run", 30_000);
      await proxy.restart();
      await states.entered("open", restarts + 1);
    }
    for (const { source } of transfers) source.stop();
    for (const { sink, source } of transfers) {
      expect(await soon(sink.whole, "the end of the transfer", 30_000)).toBe(await source.done);
    }
    expect(client.stats().sessions).toBe(1);
  });

  it("a server that it cannot reach for a while has the same session afterwards", {
    timeout: 120_000,
  }, async (context) => {
    need(context, kind);
    await using behind = await rig(kind);
    const { client, wire, states, log } = behind;
    const visitors = await Promise.all(client.tunnels.map(({ address }) => WireEnd.connect(address)));
    for (const visitor of visitors) expect(await visitor.ask("before")).toBe("before");
    wire.refuse();
    wire.cut({ how: "rst" });
    const failures = (): number => log.find({ message: "no connection to the server" }).length;
    await until(() => failures() >= 2, "two dials have failed", 60_000);
    for (const { socket } of visitors) socket.write("meanwhile, ");
    wire.refuse(false);
    await until(() => client.state === "open", "it is back", 60_000);
    expect(states.path).toEqual(["connecting", "open", "detached", "open"]);
    for (const visitor of visitors) {
      visitor.socket.end("after");
      expect(await visitor.closed()).toBe("end");
      expect(visitor.text).toBe("beforemeanwhile, after");
    }
    expect(client.stats().sessions).toBe(1);
    for (const { reason } of log.find({ message: "no connection to the server" })) {
      expect(String(reason)).toMatch(/50[23]/);
    }
  });

  it("that ends TLS, its certificate is judged and the tunnel works", {
    timeout: 120_000,
  }, async (context) => {
    need(context, kind);
    const authority = await Authority.create();
    await using service = await Service.echo();
    await using server = new Server({ port: 0, path: "/tunnel", token, drainMs: 0 });
    await server.start();
    const certificate = await authority.issue();
    await using proxy = await ReverseProxy.start(kind, server.address?.port ?? 0, certificate);
    const options = { server: `wss://127.0.0.1:${proxy.port}/tunnel`, token, drainMs: 0 };
    await using stranger = new Client(options);
    await expect(stranger.start()).rejects.toMatchObject({ code: "untrusted_server" });
    for (const tls of [{ ca: authority.pem }, { pins: [await pinOf(certificate)] }]) {
      const listen = await freeAddress();
      const tunnels = [{ mode: CONNECT, listen, connect: service.address } as const];
      await using client = new Client({ ...options, tunnels, tls });
      await client.start();
      const visitor = await WireEnd.connect(client.tunnels[0]?.address);
      expect(await visitor.ask("through TLS")).toBe("through TLS");
      visitor.socket.end();
      expect(await visitor.closed()).toBe("end");
    }
  });

  it("its 502 and 503 while the server is away are answers to come back for", {
    timeout: 120_000,
  }, async (context) => {
    need(context, kind);
    await using behind = await rig(kind);
    const { client, server, wire, states, log } = behind;
    const addresses = client.tunnels.map(({ address }) => address);
    await server.close();
    // Nobody listens where the proxy dials.
    await wire.close();
    const failures = (): string[] =>
      log.find({ message: "no connection to the server" }).map(({ reason }) => String(reason));
    const { length: before } = failures();
    await until(() => failures().length >= before + 4, "four dials have failed", 60_000);
    const status = kind === "nginx" ? "502" : "503";
    // One of them may have been under way when the address began to refuse.
    for (const reason of failures().slice(before + 1)) expect(reason).toContain(status);
    for (const reason of failures()) expect(reason).toMatch(/50[23]/);
    expect(client.state).toBe("connecting");
    await using again = new Server({ port: wire.port, path: "/tunnel", token, drainMs: 0 });
    await again.start();
    await states.entered("open", 2, 60_000);
    await until(() => client.tunnels.every(({ state }) => state === "ready"), "the tunnels are back");
    expect(client.tunnels.map(({ address }) => address)).toEqual(addresses);
    for (const address of addresses) {
      const visitor = await WireEnd.connect(address);
      expect(await visitor.ask("again")).toBe("again");
      visitor.socket.destroy();
    }
  });
});
