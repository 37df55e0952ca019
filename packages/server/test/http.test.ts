import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Server } from "../src/index.ts";
import { nextEvent, sessionBecomes } from "./support/events.ts";
import { helloOf, RawClient } from "./support/raw-client.ts";
import { rawRequest, request, upgradeHeaders } from "./support/raw-http.ts";

const TOKEN = "a-token-of-enough-length";
const AUTH = { Authorization: `Bearer ${TOKEN}` };

describe("HTTP on the tunnel's port", () => {
  const server = new Server({ port: 0, path: "/tunnel", token: TOKEN, origins: ["https://good.example"] });
  let port = 0;

  beforeAll(async () => {
    await server.start();
    port = server.address?.port ?? 0;
  });
  afterAll(() => server.close());

  test("a plain GET gets 426 and a text that helps", async () => {
    const answer = await rawRequest(port, request("GET /tunnel?x=1", ["Host: a"]));
    expect(answer.status).toBe(426);
    expect(answer.headers.get("upgrade")).toBe("websocket");
    expect(answer.headers.get("connection")).toContain("Upgrade");
    expect(answer.body).toContain("culvert client");
  });

  test("absolute-form names the same path", async () => {
    expect((await rawRequest(port, request("GET http://a/tunnel", ["Host: a"]))).status).toBe(426);
  });

  test("a plain POST gets 405 with what is allowed", async () => {
    const answer = await rawRequest(port, request("POST /tunnel", ["Host: a", "Content-Length: 0"]));
    expect(answer.status).toBe(405);
    expect(answer.headers.get("allow")).toBe("GET");
  });

  test.each(["/", "/tunnel/", "/Tunnel", "/tunnel2", "/x/tunnel", "*", "//tunnel"])(
    "path %s: 404",
    async (path) => {
      expect((await rawRequest(port, request(`GET ${path}`, ["Host: a"]))).status).toBe(404);
      const upgrade = await rawRequest(port, request(`GET ${path}`, upgradeHeaders(AUTH)));
      expect(upgrade.status).toBe(404);
    },
  );

  const REFUSED: readonly (readonly [string, string, Record<string, string | undefined>, number])[] = [
    ["no token", "GET", {}, 401],
    ["a wrong token", "GET", { Authorization: `Bearer ${TOKEN.slice(0, -1)}x` }, 401],
    ["a longer token", "GET", { Authorization: `Bearer ${TOKEN}x` }, 401],
    ["an empty token", "GET", { Authorization: "Bearer " }, 401],
    ["another scheme", "GET", { Authorization: `Basic ${TOKEN}` }, 401],
    ["the token as a cookie", "GET", { Cookie: TOKEN }, 401],
    ["POST", "POST", AUTH, 405],
    [
      "h2c",
      "GET",
      { ...AUTH, Upgrade: "h2c", Connection: "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAMAAABk" },
      400,
    ],
    ["a list of upgrades", "GET", { ...AUTH, Upgrade: "h2c, websocket" }, 400],
    ["a body", "GET", { ...AUTH, "Content-Length": "5" }, 400],
    ["a chunked body", "GET", { ...AUTH, "Transfer-Encoding": "chunked" }, 400],
    ["version 8", "GET", { ...AUTH, "Sec-WebSocket-Version": "8" }, 426],
    ["version 99", "GET", { ...AUTH, "Sec-WebSocket-Version": "99" }, 426],
    ["no version", "GET", { ...AUTH, "Sec-WebSocket-Version": undefined }, 426],
    ["no key", "GET", { ...AUTH, "Sec-WebSocket-Key": undefined }, 400],
    ["a malformed key", "GET", { ...AUTH, "Sec-WebSocket-Key": "abc" }, 400],
    ["no subprotocol", "GET", { ...AUTH, "Sec-WebSocket-Protocol": undefined }, 400],
    ["another subprotocol", "GET", { ...AUTH, "Sec-WebSocket-Protocol": "culvert.v2" }, 400],
    ["a subprotocol twice", "GET", { ...AUTH, "Sec-WebSocket-Protocol": "culvert.v1, culvert.v1" }, 400],
    ["a web page's origin", "GET", { ...AUTH, Origin: "https://evil.example" }, 403],
    ["the origin null", "GET", { ...AUTH, Origin: "null" }, 403],
    ["an origin that only begins well", "GET", { ...AUTH, Origin: "https://good.example.evil" }, 403],
  ];

  let refusals = 0;
  test.each(REFUSED)("upgrade with %s", async (_what, method, headers, status) => {
    const body = headers["Content-Length"] === undefined ? "" : "12345";
    const text = request(`${method} /tunnel`, upgradeHeaders(headers), body);
    refusals += 1;
    const answer = await rawRequest(port, text, `127.0.1.${refusals}`); // each failed login counts where it came from
    expect(answer.status).toBe(status);
    expect(answer.headers.get("connection")).toContain("close");
    expect(answer.body).not.toContain(TOKEN);
    expect(server.sessions()).toEqual([]);
  });

  test("401 says how to authenticate, 426 which version", async () => {
    const unauthorized = await rawRequest(port, request("GET /tunnel", upgradeHeaders()));
    expect(unauthorized.headers.get("www-authenticate")).toContain("Bearer");
    const version = await rawRequest(
      port,
      request("GET /tunnel", upgradeHeaders({ "Sec-WebSocket-Version": "7" })),
    );
    expect(version.headers.get("sec-websocket-version")).toBe("13");
  });

  test("more than 100 headers: 431, also beyond what the parser shows by default", async () => {
    for (const count of [101, 1500]) {
      const filler = Array.from({ length: count }, (_, i) => `A${i}: b`);
      const text = request("GET /tunnel", [...upgradeHeaders(AUTH), ...filler]);
      expect((await rawRequest(port, text)).status).toBe(431);
      expect((await rawRequest(port, request("GET /tunnel", ["Host: a", ...filler]))).status).toBe(431);
    }
  });

  test("bytes that are no HTTP at all: 400", async () => {
    expect((await rawRequest(port, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n")).status).toBe(400);
  });

  test("two subprotocols, ours among them, and an allowed origin: a session", async () => {
    const client = await RawClient.connect(`ws://127.0.0.1:${port}/tunnel?who=me`, {
      token: TOKEN,
      protocols: ["chat", "culvert.v1"],
      headers: { Origin: "https://good.example" },
    });
    expect(client.ws.protocol).toBe("culvert.v1");
    expect(client.ws.extensions).toBe("");
    await client.welcomed(helloOf());
    const ended = sessionBecomes(server, "ended");
    client.ws.terminate();
    await ended;
  });

  test("compression is not accepted when it is offered", async () => {
    const socket = connect(port, "127.0.0.1");
    const headers = upgradeHeaders({ ...AUTH, "Sec-WebSocket-Extensions": "permessage-deflate" });
    socket.write(request("GET /tunnel", headers));
    const [head] = (await once(socket, "data")) as [Buffer];
    expect(head.toString()).toMatch(/^HTTP\/1\.1 101 /);
    expect(head.toString().toLowerCase()).not.toContain("extensions");
    const gone = nextEvent(server, "refused");
    socket.destroy();
    await gone;
  });

  test("refusals are told as events and counted", async () => {
    const refused: unknown[] = [];
    const before = server.stats().refused;
    const off = server.on("refused", (event) => refused.push(event.reason));
    await rawRequest(port, request("GET /tunnel", upgradeHeaders()));
    // This one is found by the WebSocket library, after the gate.
    await rawRequest(port, request("GET /tunnel", upgradeHeaders({ ...AUTH, "Sec-WebSocket-Key": "abc" })));
    off();
    expect(refused).toEqual([401, 400]);
    expect(server.stats().refused).toBe(before + 2);
  });
});

describe("connections that do not finish their handshake", () => {
  const TOKEN = "0123456789abcdef";

  function silentOnes(port: number, count: number): ReturnType<typeof connect>[] {
    return Array.from({ length: count }, () => connect(port, "127.0.0.1").on("error", () => undefined));
  }

  test("are bounded: some are dropped by lot, and who shakes hands gets in", async () => {
    await using server = new Server({ port: 0, maxUnauthenticated: 3 });
    await server.start();
    const silent = silentOnes(server.address?.port ?? 0, 10);
    await expect.poll(() => server.stats().handshaking + server.stats().droppedHandshakes).toBe(10);
    expect(server.stats().handshaking).toBeLessThanOrEqual(3);
    const client = await RawClient.connect(server.address?.url ?? "");
    await client.welcomed(helloOf());
    expect(server.stats()).toMatchObject({ sessions: 1 });
    for (const socket of silent) socket.destroy();
    client.ws.terminate();
  });

  test("are dropped for strangers only before they have shown the token", async () => {
    await using server = new Server({ port: 0, maxUnauthenticated: 3, token: TOKEN });
    await server.start();
    const { port = 0, url = "" } = server.address ?? {};
    // Slow clients: the token was right, their HELLO is still under way.
    const clients = await Promise.all(
      Array.from({ length: 10 }, () => RawClient.connect(url, { token: TOKEN })),
    );
    const silent = silentOnes(port, 100);
    await expect.poll(() => server.stats().handshaking + server.stats().droppedHandshakes).toBe(110);
    for (const [n, client] of clients.entries()) await client.welcomed(helloOf({ name: `${n}` }));
    expect(server.stats()).toMatchObject({ sessions: 10 });
    for (const socket of silent) socket.destroy();
    for (const { ws } of clients) ws.terminate();
  });
});
