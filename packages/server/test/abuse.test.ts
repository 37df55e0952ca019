import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Server } from "../src/index.ts";
import { sessionBecomes } from "./support/events.ts";
import { helloOf, openSession, RawClient, resumeOf } from "./support/raw-client.ts";
import { request, upgradeHeaders } from "./support/raw-http.ts";

describe("clients that mean no good", () => {
  const server = new Server({ port: 0 });
  let port = 0;
  let url = "";
  beforeAll(async () => {
    await server.start();
    port = server.address?.port ?? 0;
    url = server.address?.url ?? "";
  });
  afterAll(() => server.close());

  const HEAD = request("GET /", upgradeHeaders());

  /** Sends the bytes over an own connection; with `answered`, waits for the first bytes of the answer. */
  async function sent(bytes: string | Buffer, answered: boolean): Promise<Socket> {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    await once(socket, "connect");
    await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
    if (answered) await once(socket, "data");
    return socket;
  }

  async function isAlive(): Promise<void> {
    const { link, client } = await openSession(url, helloOf({ name: "witness" }));
    const ended = sessionBecomes(server, "ended");
    link.close();
    await Promise.all([ended, client.closed]);
  }

  const PHASES: readonly (readonly [string, string | Buffer, boolean])[] = [
    ["before a byte", "", false],
    ["in the request line", "GE", false],
    ["in the headers", HEAD.slice(0, 60), false],
    ["behind an upgrade that is refused", request("GET /nowhere", upgradeHeaders()), false],
    ["behind the upgrade", HEAD, false],
    ["behind the 101", HEAD, true],
    ["in a frame's header", Buffer.concat([Buffer.from(HEAD), Buffer.from([0x82, 0xfe])]), true],
    [
      "in a HELLO",
      Buffer.concat([Buffer.from(HEAD), Buffer.from([0x82, 0xfe, 1, 0, 0, 0, 0, 0, 0x40])]),
      true,
    ],
  ];

  test.each(PHASES)("a reset %s", async (_when, bytes, answered) => {
    const socket = await sent(bytes, answered);
    socket.resetAndDestroy();
    await isAlive();
  });

  test.each(PHASES)("an end %s", async (_when, bytes, answered) => {
    const socket = await sent(bytes, answered);
    const closed = once(socket, "close");
    socket.end();
    socket.resume();
    await closed;
    await isAlive();
  });

  /** RFC 6455 section 5: what a frame must not be, and the close code that it gets. */
  const BAD_FRAMES: readonly (readonly [string, readonly number[], number])[] = [
    ["unmasked", [0x82, 0x01, 0x40], 1002],
    ["of a reserved opcode", [0x83, 0x80, 0, 0, 0, 0], 1002],
    ["compressed without an extension", [0xc2, 0x80, 0, 0, 0, 0], 1002],
    ["a continuation of nothing", [0x80, 0x80, 0, 0, 0, 0], 1002],
    ["a ping of 126 bytes", [0x89, 0xfe, 0, 126, 0, 0, 0, 0], 1002],
    ["of 2^63 bytes", [0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1009],
    ["of 131,073 bytes", [0x82, 0xff, 0, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0], 1009],
    ["text that is not UTF-8", [0x81, 0x81, 0, 0, 0, 0, 0xff], 1007],
    ["a close with half a code", [0x88, 0x81, 0, 0, 0, 0, 3], 1002],
    [
      "in 17 fragments",
      [0x02, 0x80, 0, 0, 0, 0, ...Array.from({ length: 17 }, () => [0, 0x81, 0, 0, 0, 0, 1]).flat()],
      1008,
    ],
  ];

  test.each(BAD_FRAMES)("a frame %s", async (_what, frame, code) => {
    const socket = await sent(HEAD, true);
    const answer = once(socket, "data");
    socket.write(Buffer.from(frame));
    const [close] = (await answer) as [Buffer];
    expect(close[0]).toBe(0x88);
    expect(close.readUInt16BE(2)).toBe(code);
    socket.destroy();
    await isAlive();
  });

  test("resumes without a proof, many at once, disturb nobody", async () => {
    const session = await openSession(url, helloOf({ name: "victim" }));
    const right = resumeOf(session.welcome, 1, 0);
    const forged = { ...right, proof: "A".repeat(43) };
    const clients = await Promise.all(Array.from({ length: 100 }, () => RawClient.connect(url)));
    const answers = await Promise.all(
      clients.map((client) => client.rejected({ ...session.hello, resume: forged })),
    );
    expect(new Set(answers.map(({ code }) => code))).toEqual(new Set(["session_unknown"]));
    expect(session.link.stats()).toMatchObject({ state: "attached", resumes: 0 });
    expect(session.client.ws.readyState).toBe(session.client.ws.OPEN);
    const ended = sessionBecomes(server, "ended");
    session.link.close();
    await ended;
  });
});
