import { Random } from "../../packages/chaos/src/random.ts";
import {
  encodeAck,
  encodeData,
  encodeEnd,
  encodeOpen,
  encodeRelease,
  encodeReset,
  encodeTunnelClose,
  encodeTunnelOpen,
  encodeWindow,
} from "../../packages/protocol/src/frame.ts";
import { request, upgradeHeaders } from "../../packages/server/test/support/raw-http.ts";
import { RawClient, upgraded } from "../bad-input/support/raw-client.ts";
import type { RawWebSocket } from "../bad-input/support/raw-web-socket.ts";
import { frameBytes } from "../bad-input/support/web-socket-bytes.ts";
import { soon } from "../support/deadline.ts";
import { Forked } from "../support/forked.ts";
import { Service } from "../support/service.ts";
import { WireEnd } from "../support/wire-end.ts";
import type { Seeds } from "./corpus.ts";
import { keptAtHome } from "./endpoints.ts";
import type { Fuzz } from "./fuzz.ts";
import { mutated } from "./mutation.ts";
import { ResidentMemory } from "./resident-memory.ts";

const UPGRADE = new TextEncoder().encode(request("GET /", upgradeHeaders()));
const MOST_MESSAGES = 30;
/** Few, so that sessions also displace each other. */
const NAMES = ["a", "b", "c", "d"] as const;

/** A running server: whatever a client sends, it is answered or turned away, and an honest client notices nothing. */
export class ServerFuzz implements Fuzz {
  readonly name = "server";
  readonly #seed: number;
  readonly #seeds: Seeds;
  readonly #server: Forked;
  readonly #port: number;
  readonly #echo: Service;
  readonly #witness: RawClient;
  readonly #memory: ResidentMemory;
  #said = 0;

  private constructor(
    seed: number,
    seeds: Seeds,
    server: Forked,
    port: number,
    echo: Service,
    witness: RawClient,
  ) {
    this.#seed = seed;
    this.#seeds = seeds;
    this.#server = server;
    this.#port = port;
    this.#echo = echo;
    this.#witness = witness;
    this.#memory = new ResidentMemory(server.pid);
  }

  static async start(seed: number, seeds: Seeds): Promise<ServerFuzz> {
    const echo = await Service.echo();
    echo.forgets();
    const server = Forked.start("server-process.ts", {
      port: 0,
      maxUpgradesPerSecond: 1_000_000,
      session: { graceMs: 300 },
    });
    const { port } = await server.ask<{ port: number }>("start");
    const witness = await RawClient.open(port, { name: "witness" });
    witness.send(encodeOpen(1, { kind: "tcp", target: echo.address }));
    return new ServerFuzz(seed, seeds, server, port, echo, witness);
  }

  async round(number: number): Promise<void> {
    const random = new Random(this.#seed).derive(number);
    switch (random.between(0, 9)) {
      case 0:
        await this.#request(random);
        break;
      case 1:
        await this.#bytes(random);
        break;
      case 2:
      case 3:
        await this.#handshake(random);
        break;
      default:
        await this.#session(random);
    }
  }

  /** The process lives and answers, its memory is bounded, and the witness's stream carries on. */
  async inspect(): Promise<void> {
    await this.#server.ask("stats");
    this.#memory.check();
    this.#witness.send(encodeData(1, this.#said, Uint8Array.of(1)));
    this.#said += 1;
    await this.#witness.answers();
    this.#witness.acknowledge();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#witness[Symbol.dispose]();
    await this.#server[Symbol.asyncDispose]();
    await this.#echo[Symbol.asyncDispose]();
  }

  /** A request that is nearly one for an upgrade. */
  async #request(random: Random): Promise<void> {
    const client = await WireEnd.connect(`127.0.0.1:${this.#port}`);
    client.socket.write(mutated(random, [UPGRADE]));
    // Half a request may be waited for; one that ends is answered or dropped.
    client.socket.end();
    await client.closed();
  }

  /** Bytes that are nearly WebSocket frames. */
  async #bytes(random: Random): Promise<void> {
    using web = await upgraded(this.#port);
    const frames = this.#seeds.frames.map((frame) => frameBytes(frame));
    for (let n = random.between(1, 10); n > 0; n -= 1) web.write(mutated(random, [random.pick(frames)]));
    await left(web);
  }

  async #handshake(random: Random): Promise<void> {
    using web = await upgraded(this.#port);
    web.send(mutated(random, this.#seeds.handshakes));
    await left(web);
  }

  async #session(random: Random): Promise<void> {
    using client = await RawClient.open(this.#port, { name: random.pick(NAMES) });
    const target = this.#echo.address;
    client.send(encodeOpen(1, { kind: "tcp", target }));
    const plausible = frames(random, target);
    const most = random.pick([1, 5, MOST_MESSAGES]);
    for (let n = random.between(1, most); n > 0; n -= 1) {
      const message =
        random.between(0, 1) === 0
          ? random.pick(plausible)
          : mutated(random, random.pick([plausible, this.#seeds.frames]));
      client.send(keptAtHome(message, target));
    }
    await Promise.race([client.answers().catch(() => undefined), client.web.closed]);
    if (random.between(0, 3) > 0) return client.web.reset();
    // Now and then it comes back.
    client.web.reset();
    const again = await client.resumed(this.#port, 1).catch(() => undefined);
    again?.web.reset();
  }
}

/** The other side closes when this one has said its end. */
async function left(web: RawWebSocket): Promise<void> {
  web.socket.end();
  await soon(web.closed, "the server closes");
}

/** Frames that fit a session whose stream 1 was just opened. */
function frames(random: Random, target: string): Uint8Array[] {
  const id = random.pick([1, 1, 3, 5, 2]);
  const payload = new Uint8Array(random.pick([0, 1, 100, 8192, 8193]));
  return [
    encodeOpen(3, { kind: "tcp", target }),
    encodeOpen(5, { kind: "tcp", target: "127.0.0.1:1" }),
    encodeData(id, random.pick([0, 0, 1, payload.length]), payload),
    encodeEnd(id, random.pick([0, payload.length])),
    encodeReset(id, "cancelled"),
    encodeWindow(id, random.pick([8192, 100_000])),
    encodeRelease(id, random.pick([0, 8192, 100_000])),
    encodeTunnelOpen(1, "tcp://127.0.0.1:0", ""),
    encodeTunnelClose(1),
    encodeAck(random.between(0, 3)),
  ];
}
