import { once } from "node:events";
import { connect } from "node:net";
import { Server } from "@culvert/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rawRequest, request, upgradeHeaders } from "../../packages/server/test/support/raw-http.ts";
import { soon } from "../support/deadline.ts";
import { Siege } from "./support/siege.ts";

const TOKEN = "a-token-of-enough-length";

let siege: Siege;
beforeAll(async () => {
  siege = await Siege.start();
});
afterAll(() => siege[Symbol.asyncDispose]());

describe("4.A: the upgrade request", () => {
  const bare = ["Host: a"];
  const body = "Content-Length: 5";
  const UPGRADES: readonly (readonly [id: string, words: string, text: string, status: number])[] = [
    ["A1", "a plain GET", request("GET /", bare), 426],
    ["A2", "a POST that upgrades", request("POST /", upgradeHeaders()), 405],
    ["A2", "a plain POST", request("POST /", [...bare, body], "12345"), 405],
    ["A3", "no key", request("GET /", upgradeHeaders({ "Sec-WebSocket-Key": undefined })), 400],
    ["A3", "a key that is no base64", request("GET /", upgradeHeaders({ "Sec-WebSocket-Key": "?" })), 400],
    ["A3", "a key of 3 bytes", request("GET /", upgradeHeaders({ "Sec-WebSocket-Key": "YWJj" })), 400],
    ["A4", "version 99", request("GET /", upgradeHeaders({ "Sec-WebSocket-Version": "99" })), 426],
    ["A4", "version 8", request("GET /", upgradeHeaders({ "Sec-WebSocket-Version": "8" })), 426],
    ["A5", "an upgrade to h2c", request("GET /", upgradeHeaders({ Upgrade: "h2c" })), 400],
    ["A5", "an upgrade to TLS/1.0", request("GET /", upgradeHeaders({ Upgrade: "TLS/1.0" })), 400],
    ["A6", "a body of 5 bytes", request("GET /", [...upgradeHeaders(), body], "12345"), 400],
    [
      "A6",
      "a chunked body",
      request("GET /", [...upgradeHeaders(), "Transfer-Encoding: chunked"], "5\r\n12345\r\n0\r\n\r\n"),
      400,
    ],
    ["A7", "no subprotocol", request("GET /", upgradeHeaders({ "Sec-WebSocket-Protocol": undefined })), 400],
    [
      "A7",
      "a wrong subprotocol",
      request("GET /", upgradeHeaders({ "Sec-WebSocket-Protocol": "mqtt" })),
      400,
    ],
    ["A9", "another path", request("GET /nowhere", upgradeHeaders()), 404],
    ["A9", "a path that goes up", request("GET /../etc/passwd", upgradeHeaders()), 404],
    ["A9", "a path of 8,000 bytes", request(`GET /${"a".repeat(8000)}`, upgradeHeaders()), 404],
    ["A11", "a foreign Origin", request("GET /", upgradeHeaders({ Origin: "https://evil.example" })), 403],
    [
      "A25",
      "3,000 headers",
      request("GET /", [...upgradeHeaders(), ...Array.from({ length: 3000 }, (_, i) => `A${i}: b`)]),
      431,
    ],
    [
      "A25",
      "a header of 20,000 bytes",
      request("GET /", [...upgradeHeaders(), `A: ${"b".repeat(20_000)}`]),
      431,
    ],
  ];

  test.each(UPGRADES)("%s %s", async (_id, _words, text, status) => {
    await siege.witness.during(async () => {
      const answer = await soon(rawRequest(siege.port, text), "the answer, and the end behind it");
      expect(answer.status).toBe(status);
      expect(siege.others).toEqual([]);
    });
  });

  test.each([
    ["A8", "permessage-deflate", "permessage-deflate; client_max_window_bits"],
    ["A8", "an extension of nobody", "x-webkit-deflate-frame, bbf-usp-protocol"],
  ])("%s offers %s: 101 without an extension", async (_id, _words, extension) => {
    const socket = connect(siege.port, "127.0.0.1");
    socket.write(request("GET /", upgradeHeaders({ "Sec-WebSocket-Extensions": extension })));
    const [answer] = (await soon(once(socket, "data"), "an answer")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 101 /);
    expect(answer.toString().toLowerCase()).not.toContain("extensions");
    socket.destroy();
  });

  test.each([
    ["A10", "no credentials", undefined],
    ["A10", "an empty token", "Bearer "],
    ["A10", "a wrong token", `Bearer ${TOKEN}x`],
    ["A10", "another scheme", `Basic ${TOKEN}`],
    ["A10", "a token of 8,000 bytes", `Bearer ${"x".repeat(8000)}`],
    ["A10", "the token with a NUL behind it", `Bearer ${TOKEN}\0`],
  ])("%s %s", async (_id, _words, authorization) => {
    await using guarded = new Server({ port: 0, token: TOKEN });
    await guarded.start();
    const text = request("GET /", upgradeHeaders({ Authorization: authorization }));
    const answer = await soon(
      rawRequest(guarded.address?.port ?? 0, text),
      "the answer, and the end behind it",
    );
    // A NUL is refused by the HTTP parser already (RFC 9110 section 5.5).
    expect(answer.status).toBe(authorization?.includes("\0") ? 400 : 401);
    expect(answer.body).not.toContain(TOKEN);
    expect(guarded.sessions()).toEqual([]);
  });

  test.each([
    ["of version 1", "PROXY TCP4 192.0.2.1 192.0.2.2 5000 9000\r\n"],
    ["of version 2", "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x13\x88\x23\x28"],
    ["that is malformed", "PROXY NONSENSE\r\n"],
  ])("E11 a PROXY protocol header %s, which is not spoken here: 400", async (_words, header) => {
    await using open = new Server({ port: 0 });
    await open.start();
    const text = `${header}${request("GET /", upgradeHeaders())}`;
    const answer = await soon(rawRequest(open.address?.port ?? 0, text), "the answer, and the end behind it");
    expect(answer.status).toBe(400);
    expect(open.sessions()).toEqual([]);
  });

  test("T30 a request head, byte after byte: answered with 408 at the deadline, which does not move", async () => {
    const socket = connect(siege.port, "127.0.0.1");
    socket.on("error", () => undefined);
    const bytes = request("GET /", [...upgradeHeaders(), `A: ${"b".repeat(5000)}`])[Symbol.iterator]();
    let isAnswered = false;
    socket.once("data", () => {
      isAnswered = true;
    });
    // What has come is read first: to write to a connection that was closed meanwhile would lose the answer.
    const write = () => {
      if (!isAnswered) socket.write(bytes.next().value ?? "");
    };
    const timer = setInterval(() => setImmediate(() => setImmediate(write)), 20);
    const [answer] = (await soon(once(socket, "data"), "an answer")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 408 /);
    await soon(once(socket, "close"), "the connection is closed");
    clearInterval(timer);
  });
});
