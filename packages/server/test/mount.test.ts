import { once } from "node:events";
import { createServer, type Server as HttpServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CulvertError } from "@culvert/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { Server } from "../src/index.ts";
import { helloOf, openSession, RawClient } from "./support/raw-client.ts";
import { rawRequest, request, upgradeHeaders } from "./support/raw-http.ts";

let http: HttpServer;
let port: number;
let seen: string[];

beforeEach(async () => {
  seen = [];
  http = createServer((request, response: ServerResponse) => {
    seen.push(request.url ?? "");
    response.setHeader("Connection", "close");
    response.end(`app ${request.url}`);
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  port = (http.address() as AddressInfo).port;
});
afterEach(async () => {
  http.closeAllConnections();
  http.close();
  await once(http, "close");
});

const PLAIN_HEADERS = ["Host: a", "Connection: close"];

describe("mount", () => {
  test("the tunnel and the app answer on one port", async () => {
    await using server = new Server();
    server.mount(http, { path: "/tunnel" });
    expect((await rawRequest(port, request("GET /tunnel", PLAIN_HEADERS))).status).toBe(426);
    expect((await rawRequest(port, request("GET /page", PLAIN_HEADERS))).body).toContain("app /page");
    expect((await rawRequest(port, request("GET /tunnel/page", PLAIN_HEADERS))).body).toContain(
      "app /tunnel/page",
    );
    const { link, client } = await openSession(`ws://127.0.0.1:${port}/tunnel`);
    expect(server.sessions()).toHaveLength(1);
    expect(seen).toEqual(["/page", "/tunnel/page"]);
    link.close();
    await client.closed;
  });

  test("Expect: 100-continue on either path", async () => {
    await using server = new Server();
    server.mount(http, { path: "/tunnel" });
    const answer = await rawRequest(
      port,
      request("POST /tunnel", [...PLAIN_HEADERS, "Expect: 100-continue"]),
    );
    expect([100, 405]).toContain(answer.status);
    expect(seen).toEqual([]);
  });

  test.each(["before", "after"])(
    "another WebSocket server that was attached %s keeps working, and so do we",
    async (when) => {
      await using server = new Server();
      if (when === "after") server.mount(http, { path: "/tunnel" });
      // Attached like this, ws answers 400 to the upgrades of every other path.
      const other = new WebSocketServer({ server: http, path: "/chat" });
      other.on("connection", (ws) => ws.send("chat"));
      if (when === "before") server.mount(http, { path: "/tunnel" });
      const chat = new WebSocket(`ws://127.0.0.1:${port}/chat`);
      expect(String((await once(chat, "message"))[0])).toBe("chat");
      const { link, client } = await openSession(`ws://127.0.0.1:${port}/tunnel`);
      link.close();
      await client.closed;
      chat.close();
      await once(chat, "close");
      other.close();
    },
  );

  test("an upgrade to another path that nobody handles is what it is without us: a plain request", async () => {
    const before = await rawRequest(
      port,
      request("GET /page", upgradeHeaders({ Connection: "Upgrade, close" })),
    );
    const server = new Server();
    server.mount(http, { path: "/tunnel" });
    const during = await rawRequest(
      port,
      request("GET /page", upgradeHeaders({ Connection: "Upgrade, close" })),
    );
    await server.close();
    const after = await rawRequest(
      port,
      request("GET /page", upgradeHeaders({ Connection: "Upgrade, close" })),
    );
    for (const answer of [before, during, after]) {
      expect(answer).toMatchObject({ status: 200, body: expect.stringContaining("app /page") });
    }
  });

  test("an upgrade that the HTTP server's own callback wants, without a handler, is closed as without us", async () => {
    Object.assign(http, { shouldUpgradeCallback: () => true });
    await using server = new Server();
    server.mount(http, { path: "/tunnel" });
    const answer = await rawRequest(port, request("GET /page", upgradeHeaders()));
    expect(answer.status).toBeNaN();
    expect(seen).toEqual([]);
  });

  test("close gives the path back and leaves no trace on the HTTP server", async () => {
    const emit = http.emit;
    const callback = (http as { shouldUpgradeCallback?: unknown }).shouldUpgradeCallback;
    const server = new Server();
    server.mount(http, { path: "/tunnel" });
    const { client } = await openSession(`ws://127.0.0.1:${port}/tunnel`);
    await server.close();
    expect((await client.closed).code).toBe(1001);
    expect(http.listening).toBe(true);
    expect(http.emit).toBe(emit);
    expect(Object.hasOwn(http, "emit")).toBe(false);
    expect((http as { shouldUpgradeCallback?: unknown }).shouldUpgradeCallback).toBe(callback);
    expect(http.listenerCount("upgrade")).toBe(0);
    expect((await rawRequest(port, request("GET /tunnel", PLAIN_HEADERS))).body).toContain("app /tunnel");
  });

  test("two servers on two paths; one path is not given twice", async () => {
    await using first = new Server();
    await using second = new Server();
    first.mount(http, { path: "/one" });
    second.mount(http, { path: "/two" });
    expect(() => second.mount(http, { path: "/one" })).toThrow(CulvertError);
    const client = await RawClient.connect(`ws://127.0.0.1:${port}/two`);
    await client.welcomed(helloOf());
    expect([first.sessions().length, second.sessions().length]).toEqual([0, 1]);
    await first.close();
    expect((await rawRequest(port, request("GET /two", PLAIN_HEADERS))).status).toBe(426);
    client.ws.terminate();
  });

  test("mounted and started at once", async () => {
    await using server = new Server({ port: 0 });
    server.mount(http, { path: "/tunnel" });
    await server.start();
    const clients = await Promise.all(
      [`ws://127.0.0.1:${port}/tunnel`, server.address?.url ?? ""].map((url) => RawClient.connect(url)),
    );
    await Promise.all(clients.map((client, i) => client.welcomed(helloOf({ name: `c${i}` }))));
    expect(server.stats()).toMatchObject({ attached: 2, transports: 2 });
    for (const { ws } of clients) ws.terminate();
  });

  test("an HTTP server that is closed lets go of nothing of ours, and close still ends", async () => {
    const server = new Server();
    server.mount(http, { path: "/tunnel" });
    const { client, link } = await openSession(`ws://127.0.0.1:${port}/tunnel`);
    await server.close();
    await client.closed;
    link.close();
    expect(server.state).toBe("closed");
    expect(() => server.mount(http)).toThrow(CulvertError);
  });
});
