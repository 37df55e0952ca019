import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import {
  decodeHandshake,
  encodeHello,
  type Hello,
  proofInput,
  type Resume,
  SESSION_DEFAULTS,
  type Welcome,
} from "@culvert/protocol";
import { FRAME } from "../../../packages/protocol/src/frame.ts";
import { request, upgradeHeaders } from "../../../packages/server/test/support/raw-http.ts";
import { soon } from "../../support/deadline.ts";
import { RawPeer } from "./raw-peer.ts";
import { RawWebSocket } from "./raw-web-socket.ts";

/** A right HELLO, with `changes` laid over it. */
export function helloOf(changes: Partial<Hello> = {}): Hello {
  const { maxStreams, maxPendingOpens, maxTunnels, initialWindowBytes, replayLimitBytes } = SESSION_DEFAULTS;
  return {
    version: 1,
    instance: randomBytes(16).toString("hex"),
    name: "raw",
    agent: "raw",
    limits: { maxStreams, maxPendingOpens, maxTunnels, initialWindowBytes, replayLimitBytes },
    keepalive: { intervalMs: 10_000, timeoutMs: 25_000 },
    ...changes,
  };
}

/** A WebSocket to the server behind `port`, of which only the opening handshake is right. */
export async function upgraded(port: number): Promise<RawWebSocket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  socket.on("error", () => undefined);
  socket.write(request("GET /", upgradeHeaders()));
  const [answer] = (await soon(once(socket, "data"), "the answer to the upgrade")) as [Buffer];
  const end = answer.indexOf("\r\n\r\n") + 4;
  if (!answer.toString("latin1").startsWith("HTTP/1.1 101 ")) throw new Error(`no upgrade: ${answer}`);
  return new RawWebSocket(socket, true, answer.subarray(end));
}

/** A client's end of a session, by hand. */
export class RawClient extends RawPeer {
  readonly hello: Hello;
  readonly welcome: Welcome;
  readonly #secret: string;

  private constructor(web: RawWebSocket, hello: Hello, welcome: Welcome, secret: string) {
    super(web);
    this.hello = hello;
    this.welcome = welcome;
    this.#secret = secret;
  }

  /** A session that the server knows to be wanted: it answered a PING. */
  static async open(port: number, changes: Partial<Hello> = {}): Promise<RawClient> {
    const hello = helloOf(changes);
    const web = await upgraded(port);
    const welcome = await shaken(web, hello);
    const client = new RawClient(web, hello, welcome, welcome.secret ?? "");
    await client.answers();
    return client;
  }

  /** The session over another transport. */
  async resumed(port: number, attempt: number): Promise<RawClient> {
    const hello = { ...this.hello, resume: this.proof(attempt, this.received) };
    const web = await upgraded(port);
    const client = new RawClient(web, hello, await shaken(web, hello), this.#secret);
    client.received = this.received;
    return client;
  }

  /** What HELLO says to resume this session, rightly proven. */
  proof(attempt: number, received: number): Resume {
    const { session } = this.welcome;
    const key = Buffer.from(this.#secret, "base64url");
    const proof = createHmac("sha256", key)
      .update(proofInput(session, attempt, received))
      .digest("base64url");
    return { session, attempt, received, proof };
  }
}

async function shaken(web: RawWebSocket, hello: Hello): Promise<Welcome> {
  web.send(encodeHello(hello));
  const answer = decodeHandshake(await web.nextOf(FRAME.welcome));
  if (answer.type !== "welcome") throw new Error("no WELCOME");
  return answer.welcome;
}
