import { Client } from "@culvert/client";
import { encodeReject, encodeWelcome } from "@culvert/protocol";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { encodeNote, encodePing } from "../../packages/protocol/src/frame.ts";
import { soon } from "../support/deadline.ts";
import { QUICK_RETRY } from "../support/tunnel-fixture.ts";
import { badBytes, fragments } from "./support/bad-bytes.ts";
import { HostileServer, welcomeOf } from "./support/hostile-server.ts";
import { RawPeer } from "./support/raw-peer.ts";
import { Siege } from "./support/siege.ts";
import { frameBytes, OPCODE } from "./support/web-socket-bytes.ts";

/** An honest server with a witness: what one client hears must not disturb another one in the same process. */
let siege: Siege;
let hostile: HostileServer;
beforeAll(async () => {
  siege = await Siege.start();
});
afterAll(() => siege[Symbol.asyncDispose]());
beforeEach(async () => {
  hostile = await HostileServer.start();
  onTestFinished(() => hostile[Symbol.asyncDispose]());
});

/** A client of the hostile server, which is being started. */
function startedClient(maxAttempts?: number): { readonly client: Client; readonly started: Promise<void> } {
  const retry = { ...QUICK_RETRY, ...(maxAttempts === undefined ? {} : { maxAttempts }) };
  const client = new Client({ server: hostile.url, name: "besieged", drainMs: 0, retry });
  onTestFinished(() => client.close({ drainMs: 0 }));
  const started = client.start();
  started.catch(() => undefined);
  return { client, started };
}

/** The session goes on over the next transport, with so many frames processed. */
async function goesOn(processed: number): Promise<void> {
  const { web, hello } = await hostile.caller();
  expect(hello.resume).toMatchObject({ session: "hostile.1", received: processed });
  web.send(encodeWelcome(welcomeOf({ received: 0 })));
  await new RawPeer(web).answers();
}

describe("4.A: a server's bytes below the frames, in a session: the client detaches and resumes", () => {
  test.each(badBytes(false))("%s %s", async (_id, _words, bytes, code) => {
    await siege.witness.during(async () => {
      const { client, started } = startedClient();
      const peer = await hostile.session();
      await started;
      peer.send(encodeNote("counted"));
      peer.web.write(bytes);
      expect(await peer.farewell()).toEqual({ code: undefined, close: code });
      await goesOn(1);
      expect(client.stats()).toMatchObject({ state: "open", sessions: 1 });
    });
  });

  test("A15 a text message ends the session, and the client makes another one", async () => {
    const { client, started } = startedClient();
    const peer = await hostile.session();
    await started;
    peer.web.write(frameBytes(Buffer.from("hello"), { masked: false, opcode: OPCODE.text }));
    expect(await peer.farewell()).toEqual({ code: "text_message", close: 4400 });
    await (await hostile.session()).answers();
    expect(client.stats().sessions).toBe(2);
  });

  test("A23 a frame that is cut off, then a reset: it is not counted", async () => {
    const { started } = startedClient();
    const peer = await hostile.session();
    await started;
    peer.send(encodeNote("counted"));
    await peer.answers();
    peer.web.write(frameBytes(encodeNote("not counted"), { masked: false }).subarray(0, -1));
    await peer.web.flushed();
    peer.web.reset();
    await goesOn(1);
  });

  test("T32 1,000,000 empty fragments", async () => {
    const { started } = startedClient();
    const peer = await hostile.session();
    await started;
    for (let n = 0; n < 100; n += 1) peer.web.write(fragments(false, new Uint8Array(0), 10_000));
    expect((await peer.farewell()).close).toBe(1008);
    await goesOn(0);
  });
});

describe("4.A: a server's answer to the upgrade", () => {
  const ANSWERS: readonly (readonly [
    id: string,
    words: string,
    code: string,
    headers: Record<string, string>,
  ])[] = [
    ["A7", "no subprotocol", "not_culvert", { "Sec-WebSocket-Protocol": "" }],
    ["A7", "a subprotocol that was not offered", "not_culvert", { "Sec-WebSocket-Protocol": "mqtt" }],
    ["A8", "an extension", "connect_failed", { "Sec-WebSocket-Extensions": "permessage-deflate" }],
    ["A3", "a wrong Sec-WebSocket-Accept", "connect_failed", { "Sec-WebSocket-Accept": "x" }],
    ["A5", "an upgrade to h2c", "connect_failed", { Upgrade: "h2c" }],
  ];
  test.each(ANSWERS)("%s %s: %s", async (_id, _words, code, headers) => {
    const { started } = startedClient(1);
    (await hostile.knock()).upgrade(headers);
    const error = await soon(
      started.then(
        () => undefined,
        (reason: unknown) => reason,
      ),
      "the start fails",
    );
    const { cause = error } = error as { cause?: unknown };
    expect([error, cause]).toContainEqual(expect.objectContaining({ code }));
  });

  test("A27 WELCOME and a frame in one segment with the 101: nothing of it is lost, and the client says HELLO", async () => {
    const { client, started } = startedClient();
    const behind = [encodeWelcome(welcomeOf({ secret: "A".repeat(43) })), encodeNote("early"), encodePing(7)];
    const frames = Buffer.concat(behind.map((frame) => frameBytes(frame, { masked: false })));
    const web = (await hostile.knock()).upgrade({}, frames);
    await started;
    expect((await web.nextOf(0x40))[0]).toBe(0x40);
    expect((await web.nextOf(0x44)).readUInt32BE(1)).toBe(7);
    expect(client.state).toBe("open");
  });

  const HTTP: readonly (readonly [words: string, code: string, answer: string])[] = [
    ["nothing but garbage", "not_culvert", "\x16\x03\x01\x02\0"],
    ["200 and a page", "not_culvert", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
    ["200 and a page without an end", "not_culvert", "HTTP/1.1 200 OK\r\n\r\nhello"],
    ["a redirect", "not_culvert", "HTTP/1.1 301 Moved\r\nLocation: ws://127.0.0.1:1/\r\n\r\n"],
    ["10,000 headers", "not_culvert", `HTTP/1.1 101 Go\r\n${"A: b\r\n".repeat(10_000)}\r\n`],
    ["a header of 1 MiB", "not_culvert", `HTTP/1.1 101 Go\r\nA: ${"b".repeat(2 ** 20)}\r\n\r\n`],
  ];
  test.each(HTTP)("G16 %s: %s", async (_words, code, answer) => {
    const { started } = startedClient(1);
    const { socket } = await hostile.knock();
    socket.write(answer, "latin1");
    const error = await soon(
      started.then(
        () => undefined,
        (reason: unknown) => reason,
      ),
      "the start fails",
    );
    expect([error, (error as Error).cause]).toContainEqual(expect.objectContaining({ code }));
  });

  test("T49 a REJECT that points to a line break: the client stops with its code", async () => {
    const { started } = startedClient(1);
    const { web } = await hostile.caller();
    web.send(encodeReject({ code: "forbidden", redirect: "ws://h/\n" }));
    await expect(started).rejects.toMatchObject({ code: "not_culvert" });
  });
});
