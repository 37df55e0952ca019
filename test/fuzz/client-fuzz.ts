import { Client } from "@culvert/client";
import { encodeReject, encodeWelcome } from "@culvert/protocol";
import { Random } from "../../packages/chaos/src/random.ts";
import {
  encodeAccept,
  encodeAck,
  encodeData,
  encodeEnd,
  encodeOpen,
  encodeRefuse,
  encodeRelease,
  encodeReset,
  encodeTunnelClosed,
  encodeTunnelReady,
  encodeWindow,
} from "../../packages/protocol/src/frame.ts";
import { type Caller, HostileServer, welcomeOf } from "../bad-input/support/hostile-server.ts";
import { RawPeer } from "../bad-input/support/raw-peer.ts";
import { frameBytes } from "../bad-input/support/web-socket-bytes.ts";
import { soon } from "../support/deadline.ts";
import { Forked } from "../support/forked.ts";
import { Service } from "../support/service.ts";
import type { Seeds } from "./corpus.ts";
import type { Fuzz } from "./fuzz.ts";
import { mutated } from "./mutation.ts";
import { ResidentMemory } from "./resident-memory.ts";

const SECRET = "A".repeat(43);
const MOST_MESSAGES = 30;
const RETRY = { baseMs: 1, capMs: 5, resumableCapMs: 5 } as const;

/** A client in a process of its own, until something that it was told made it stop. */
interface Running {
  readonly process: Forked;
  readonly memory: ResidentMemory;
  /** Resolves when the client has stopped. */
  readonly over: Promise<void>;
}

/** A running client: whatever a server says, it goes on, begins anew, or stops with a code. */
export class ClientFuzz implements Fuzz {
  readonly name = "client";
  readonly #seed: number;
  readonly #seeds: Seeds;
  readonly #hostile: HostileServer;
  readonly #echo: Service;
  #running: Running | undefined;
  #dialing: Promise<Caller> | undefined;

  private constructor(seed: number, seeds: Seeds, hostile: HostileServer, echo: Service) {
    this.#seed = seed;
    this.#seeds = seeds;
    this.#hostile = hostile;
    this.#echo = echo;
  }

  static async start(seed: number, seeds: Seeds): Promise<ClientFuzz> {
    const echo = await Service.echo();
    echo.forgets();
    return new ClientFuzz(seed, seeds, await HostileServer.start(), echo);
  }

  async round(number: number): Promise<void> {
    const random = new Random(this.#seed).derive(number);
    if (random.between(0, 9) === 0) await this.#firstAnswer(random);
    else await this.#session(random);
  }

  /** The process lives and answers, and its memory is bounded. */
  async inspect(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    await running.process.ask("stats");
    running.memory.check();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running?.process[Symbol.asyncDispose]();
    await this.#hostile[Symbol.asyncDispose]();
    await this.#echo[Symbol.asyncDispose]();
  }

  /** What is nearly a WELCOME, to a client that dials once: it opens, or it fails with a code. */
  async #firstAnswer(random: Random): Promise<void> {
    // The other client must not dial here meanwhile.
    await using hostile = await HostileServer.start();
    const retry = { ...RETRY, maxAttempts: 1 };
    const client = new Client({ server: hostile.url, name: "once", drainMs: 0, retry });
    const started = client.start().then(
      () => "started",
      (error: { readonly code?: string }) => error.code,
    );
    const { web } = await hostile.caller();
    web.send(mutated(random, this.#seeds.handshakes));
    web.socket.end();
    if ((await soon(started, "the start is over")) === undefined) throw new Error("it failed without a code");
    await client.close({ drainMs: 0 });
  }

  async #session(random: Random): Promise<void> {
    const { web, hello } = await this.#caller();
    if (hello.resume === undefined) {
      web.send(encodeWelcome(welcomeOf({ secret: SECRET })));
    } else if (random.between(0, 3) === 0) {
      const received = random.pick([0, 0, 1, 2, 1000]);
      web.send(encodeWelcome(welcomeOf({ received })));
    } else {
      web.send(encodeReject({ code: "session_unknown" }));
      await web.closed;
      return;
    }
    const peer = new RawPeer(web);
    const plausible = frames(random);
    const most = random.pick([1, 5, MOST_MESSAGES]);
    for (let n = random.between(1, most); n > 0; n -= 1) {
      const message =
        random.between(0, 1) === 0
          ? random.pick(plausible)
          : mutated(random, random.pick([plausible, this.#seeds.frames]));
      if (random.between(0, 30) > 0) peer.send(message);
      else web.write(mutated(random, [frameBytes(message, { masked: false })]));
    }
    if (random.between(0, 1) === 0) web.socket.end();
    await Promise.race([peer.answers().catch(() => undefined), web.closed]);
    web.reset();
  }

  /** The client's next dial; a client that stopped is followed by another one. */
  async #caller(): Promise<Caller> {
    for (;;) {
      const running = this.#running ?? (await this.#launch());
      // One wait for the next dial, whoever makes it: a second one would take it from the first.
      this.#dialing ??= this.#hostile.caller();
      const caller = await Promise.race([this.#dialing, running.over]);
      if (caller !== undefined) {
        this.#dialing = undefined;
        return caller;
      }
      await running.process[Symbol.asyncDispose]();
      this.#running = undefined;
    }
  }

  async #launch(): Promise<Running> {
    const process = Forked.start("client-process.ts", {
      server: this.#hostile.url,
      name: "besieged",
      retry: RETRY,
      tunnels: [
        { mode: "connect", listen: "127.0.0.1:0", connect: "target.example:80" },
        { mode: "listen", listen: "127.0.0.1:0", connect: this.#echo.address },
      ],
    });
    process.ask("start").catch(() => undefined);
    const over = process.ask("closed", undefined, 2 ** 31 - 1).then(() => undefined);
    this.#running = { process, memory: new ResidentMemory(process.pid), over };
    return this.#running;
  }
}

/** Frames that fit a session that was just begun, whose client asked for tunnel 1. */
function frames(random: Random): Uint8Array[] {
  const id = random.pick([2, 2, 4, 1]);
  const payload = new Uint8Array(random.pick([0, 1, 100, 8192, 8193]));
  return [
    encodeTunnelReady(1, "tcp://127.0.0.1:4711"),
    encodeTunnelClosed(1, random.pick(["closed", "address_in_use"])),
    encodeOpen(2, { kind: "tcp", tunnelId: 1 }),
    encodeOpen(4, { kind: "tcp", tunnelId: 1, visitor: "tcp://127.0.0.1:9" }),
    encodeData(id, random.pick([0, 0, 1, payload.length]), payload),
    encodeEnd(id, random.pick([0, payload.length])),
    encodeReset(id, "cancelled"),
    encodeWindow(id, random.pick([8192, 100_000])),
    encodeRelease(id, random.pick([0, 8192, 100_000])),
    encodeAccept(1),
    encodeRefuse(1, "forbidden"),
    encodeAck(random.between(0, 3)),
  ];
}
